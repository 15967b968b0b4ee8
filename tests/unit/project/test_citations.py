"""Every page that a comment, a docstring or a document cites has the heading that is cited."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("services", "widgets", "tui", "tests", "docs")
PAGES = ROOT / "docs" / "upstream"
CITATION = re.compile(r"upstream/(?P<page>[a-z-]+):(?: (?P<heading>[A-Z][\w -]*\w))?")
SYSTEMS = (
    "nanoclaw|openssh|openshell|vellum|vellum-wake|pod-terminal|terminal|openclaw|agent-sandbox"
)
NOWHERE = re.compile(
    rf"\N{{SECTION SIGN}}|\b(?:{SYSTEMS}) contract\b|the_contract(?!s)|"
    r"\bcontract (?:page|section|alone)\b",
    re.IGNORECASE,
)
"""Citations of pages that are not in the repository."""


def files() -> list[Path]:
    """Every text that may cite, this one aside."""
    found = [
        path
        for place in PLACES
        for path in sorted((ROOT / place).rglob("*"))
        if path.suffix in (".py", ".md", ".tcss", ".toml") and path != Path(__file__).resolve()
    ]
    assert len(found) > 300
    return found


@cache
def headings(page: str) -> frozenset[str]:
    """The headings of a page below its title; none where there is no such page."""
    path = PAGES / f"{page}.md"
    if not path.exists():
        return frozenset()
    return frozenset(re.findall(r"^##+ (.+?)\s*$", path.read_text("utf-8"), re.MULTILINE))


def faults(text: str) -> list[str]:
    """What a text cites that a reader of the repository cannot find."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for cited in CITATION.finditer(line):
            if cited["heading"] not in headings(cited["page"]):
                found.append(f"line {number}: no heading for {cited[0]!r}")
        found += [f"line {number}: cites {one[0]!r}" for one in NOWHERE.finditer(line)]
    return found


@pytest.mark.slow
def test_every_citation_resolves() -> None:
    faulty = {
        str(path.relative_to(ROOT)): found
        for path in files()
        if (found := faults(path.read_text("utf-8")))
    }
    assert not faulty


def test_citations_are_found_at_all() -> None:
    cited = [one for path in files() for one in CITATION.findall(path.read_text("utf-8"))]
    assert len(cited) > 150
    assert {page for page, _ in cited} == {path.stem for path in PAGES.glob("*.md")}


@pytest.mark.parametrize(
    "text",
    [
        "(upstream/nanoclaw: Stuck agents)",
        "see upstream/repair: Limits; upstream/vellum: Wake limits.",
        "[the page](upstream/nanoclaw.md)",
    ],
)
def test_a_good_citation_is_none_of_the_faults(text: str) -> None:
    assert not faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "(upstream/nanoclaw: Stuck agents of old)",
        "(upstream/nanoclaw: Stuck)",
        "(upstream/nanoclaw: stuck agents)",
        "(upstream/nowhere: Stuck agents)",
        "(upstream/nanoclaw:\nStuck agents)",
        "(upstream/nanoclaw: Stuck\nagents)",
        "fine (upstream/repair: Limits), but also upstream/repair: ",
        "as in \N{SECTION SIGN}4.4",
        "the nanoclaw contract says",
        "Pod-terminal contract, last table",
        "def test_it_is_as_the_contract_says() -> None:",
    ],
)
def test_a_citation_that_leads_nowhere_is_a_fault(text: str) -> None:
    assert len(faults(text)) == 1


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_a_page_says_what_it_was_checked_against_and_names_each_heading_once(path: Path) -> None:
    named = re.findall(r"^##+ (.+?)\s*$", path.read_text("utf-8"), re.MULTILINE)
    assert "Checked versions" in named
    assert len(named) == len(set(named))
    assert all(re.fullmatch(r"[A-Z][\w -]*\w", one) for one in named)
