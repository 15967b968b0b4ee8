"""`[notify.NAME]`: what is read of it, what is refused, and that its urls stay secret."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from services.config.notify import NotifyTable, budget, is_quiet, urls_of
from services.config.settings import Flags, load
from services.errors import ConfigError
from tui.cli.config_report import values

SECRET = "json://user:sesame-open@example.test/hook"


def filed(folder: Path, text: str) -> Flags:
    path = folder / "wakedeck.toml"
    path.write_text(text, "utf-8")
    return Flags(config=path)


def test_urls_come_from_three_places(tmp_path: Path) -> None:
    path = tmp_path / "urls"
    path.write_text("# of the night\njson://two\n\n  json://three \n")
    table = NotifyTable(urls=("json://one",), urls_file=str(path), urls_variable="NIGHT")
    found = urls_of("night", table, {"NIGHT": " json://four\n json://five "})
    assert found == [f"json://{name}" for name in ("one", "two", "three", "four", "five")]


@pytest.mark.parametrize("table", [NotifyTable(), NotifyTable(urls_variable="NIGHT")])
def test_nobody_to_call_is_an_error(table: NotifyTable) -> None:
    with pytest.raises(ConfigError, match="names nobody to call"):
        urls_of("night", table, {"NIGHT": "  "})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="urls_file"):
        urls_of("night", NotifyTable(urls_file=str(tmp_path / "none")), {})


@pytest.mark.parametrize(
    "line",
    [
        'at_most = "many"',
        'at_most = "0/10m"',
        'quiet_hours = "22-7"',
        'quiet_hours = "25:00-07:00"',
        'when = ["always"]',
        'sources = ["nowhere"]',
        'url = "json://x"',
    ],
)
def test_what_cannot_be_is_named_by_its_key_and_no_url_with_it(tmp_path: Path, line: str) -> None:
    text = f'[notify.night]\nurls = ["{SECRET}"]\n{line}\n[sources.one]\nkind = "local"\n'
    with pytest.raises(ConfigError) as refused:
        load(filed(tmp_path, text), {})
    said = refused.value.sentence
    assert line.split(maxsplit=1)[0] in said or "notify.night" in said
    assert "sesame" not in said


def test_no_url_is_shown(tmp_path: Path) -> None:
    settings = load(filed(tmp_path, f'[notify.night]\nurls = ["{SECRET}"]\n'), {})
    shown = {one.name: one.value for one in values(settings)}
    assert shown["notify.night.urls"] == ["***"]
    assert "sesame" not in repr(settings) + repr(shown)
    assert settings.notify["night"].urls == (SECRET,)


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("22:00-07:00", ("22:00", "23:59", "00:00", "06:59"), ("07:00", "12:00", "21:59")),
        ("12:00-13:30", ("12:00", "13:29"), ("11:59", "13:30", "00:00")),
        ("", (), ("00:00", "12:00")),
    ],
)
def test_quiet_hours_may_go_over_midnight(
    hours: str, quiet: tuple[str, ...], loud: tuple[str, ...]
) -> None:
    table = NotifyTable(quiet_hours=hours)

    def at(clock: str) -> bool:
        return is_quiet(table, datetime.fromisoformat(f"2026-11-30T{clock}").timestamp())

    assert [at(one) for one in quiet] == [True] * len(quiet)
    assert [at(one) for one in loud] == [False] * len(loud)


def test_the_budget_is_a_number_in_a_time() -> None:
    assert budget(NotifyTable()) == (6, 600.0)
    assert budget(NotifyTable(at_most="1/2h")) == (1, 7200.0)
