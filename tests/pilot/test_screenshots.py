"""A picture of the screen holds no secret, however it was drawn, and is its owner's alone."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

from services.text.redact import redact
from tests.support.acted import ScriptedTransport
from tests.support.panels import panel, toasts
from tests.support.scenes import open_shell, populated
from tui.app import WakedeckApp
from tui.panel.screenshots import redact_strips, redacted_spans, render_svg

SECRETS = (
    "abcdef0123456789",
    "hunter2secret",
    "s3cr3tvalue9",
    "pa55w0rd",
    "k-123456789",
    "zzYx98w",
)


def lines(*rows: str) -> list[Strip]:
    return [Strip([Segment(row, Style(bold=True))]) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "nothing here",
        "password=hunter2 and token: abc",
        '{"api_key": "k-1", "b": 2}',
        "Authorization: Bearer abcdef012345",
        "*** token=*** a=***",
        "https://user:pa55w0rd@host/x",
        "-----BEGIN KEY-----abc-----END KEY----- after",
    ],
)
def test_what_is_not_masked_is_exactly_what_may_be_shown(text: str) -> None:
    spans = redacted_spans(text)
    place, kept = 0, ""
    for start, end in spans:
        kept += text[place:start] + "***"
        place = end
    assert kept + text[place:] == redact(text)


def test_a_secret_cut_by_style_is_masked_whole() -> None:
    strip = Strip([Segment("password=hun"), Segment("ter2", Style(bold=True)), Segment(" end")])
    (shown,) = redact_strips([strip], [])
    assert shown.text == "password=******* end"
    assert shown.cell_length == strip.cell_length


def test_a_secret_that_goes_on_in_the_next_line_of_its_pane_is_masked_there() -> None:
    left = ("│token=abc│one│", "│def ghi  │two│")
    shown = [one.text for one in redact_strips(lines(*left), [Region(1, 0, 9, 2)])]
    assert shown == ["│token=***│one│", "│*** ghi  │two│"]


def test_wide_and_marked_characters_keep_the_places_of_the_others() -> None:
    rows = ("日本 e\u0301 token=日a\u0301b│x", "plain")
    before = lines(*rows)
    shown = redact_strips(before, [])
    assert [one.cell_length for one in shown] == [one.cell_length for one in before]
    assert shown[0].text.endswith("token=****│x") or shown[0].text.endswith("token=******")
    assert shown[1].text == "plain"


@pytest.mark.slow
async def test_the_picture_of_a_panel_full_of_secrets_holds_none(tmp_path: Path) -> None:
    script = populated()
    output = (
        b"$ curl -H 'Authorization: Bearer abcdef0123456789'\r\n"
        b"password=hun\x1b[31mter2secret\x1b[0m ok\r\n"
        b"run --token s3cr3tvalue9 https://user:pa55w0rd@host/\r\n"
        b'{"api_key": "k-123456789"}\r\n~/work $ '
    )
    script.transport = lambda: ScriptedTransport(output)
    first = replace(script.sandboxes[0], tool="", reason="It says token=zzYx98w and stops.")
    script.sandboxes = (first, *script.sandboxes[1:])
    async with panel(tmp_path, script, size=(160, 45)) as stage:
        await open_shell(stage)
        text = html.unescape(stage.app.export_screenshot(simplify=True)).replace("\xa0", " ")
        assert "s3cr3tvalue9" in text and "zzYx98w" in text, "they are on the screen"
        picture = html.unescape(render_svg(stage.app)).replace("\xa0", " ")
        assert [one for one in SECRETS if one in picture] == []
        assert "data-pull" in picture and "~/work" in picture


async def test_it_is_saved_for_its_owner_alone_and_the_place_is_said(tmp_path: Path) -> None:
    async with panel(tmp_path) as stage:
        await stage.press("ctrl+s")
        folder = tmp_path / "screenshots"
        await stage.until(lambda: bool(toasts(stage.app)))
        (path,) = folder.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        assert toasts(stage.app) == [f"Saved {path}"]
        assert path.read_text("utf-8").startswith("<svg")


async def test_a_page_writes_no_picture_on_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WakedeckApp, "is_web", True)
    async with panel(tmp_path) as stage:
        stage.app.action_picture()
        await stage.until(lambda: bool(toasts(stage.app)))
        assert "your browser" in toasts(stage.app)[0]
        assert not (tmp_path / "screenshots").exists()
