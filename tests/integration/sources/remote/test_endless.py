"""A program that never stops talking, or never listens: what is kept of it has an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import UnavailableError
from services.models import Direction, GatewayState
from services.sources.remote import session
from services.sources.remote.actor import MOST_STEPS
from services.sources.remote.calls import LARGEST_ANSWER
from services.sources.remote.observer import LONGEST_CONTENT
from tests.support.remote import live_remote, program

ENDLESS = """
hello()
rows('alpha')
asked = 0
left = {}
STEP = {"name": "start", "state": "running"}
def talk(id):
    while left.get(id, 0) > 0:
        value = "so on " * 10000 if methods[id] == "content" else {
            "step": STEP | {"name": f"step {left[id]}"}}
        say(m.Item(id, value))
        left[id] -= m.encoded_size(value)
methods = {}
for one in incoming():
    if isinstance(one, m.Call) and one.method == "queue":
        asked += 1
        say(m.Item(one.id, {"inbound": [("due", asked)]}))
        say(m.Done(one.id))
    elif isinstance(one, m.Call) and one.method in ("content", "wake"):
        left[one.id], methods[one.id] = m.WINDOW, one.method
        talk(one.id)
    elif isinstance(one, m.ShellWindow):
        left[one.id] += one.bytes
        talk(one.id)
    elif isinstance(one, m.Cancel):
        left.pop(one.id, None)
"""


async def test_answers_and_steps_without_an_end_are_cut_off(tmp_path: Path) -> None:
    async with live_remote(program(tmp_path, ENDLESS), tmp_path / "locks") as box:
        target = (await box.until(lambda one: one.sandboxes)).sandboxes[0].id
        text = await box.source.observer.content(target, Direction.IN, "1")
        assert LONGEST_CONTENT <= len(text) + 100 <= LARGEST_ANSWER
        with pytest.raises(UnavailableError, match=f"more than {MOST_STEPS} steps"):
            async for _ in box.source.actor.wake(target):
                pass
        for asked in (1, 2):  # each question once
            assert (await box.source.observer.queue(target, 10)).inbound == (("due", asked),)


async def test_a_verb_that_a_source_lacks_is_not_asked_of_it(tmp_path: Path) -> None:
    """Its steps say why, so that a reconnect of it is a wake that is followed."""
    code = "hello()\nrows('alpha')\nfor _ in incoming(): pass\n"
    async with live_remote(program(tmp_path, code), tmp_path / "locks") as box:
        target = (await box.until(lambda one: one.sandboxes)).sandboxes[0].id
        told = [one async for one in box.source.actor.connect(target)]
        assert [(one.name, one.detail) for one in told] == [  # type: ignore[union-attr]
            ("connect", "there is no link to mend")
        ]


async def test_one_that_speaks_and_never_listens_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MOST_UNSENT", 1 << 16)
    code = "hello()\nrows('alpha')\nwhile True: out.write(m.encode(m.Ping(1.0)) * 1000)\n"
    async with live_remote(program(tmp_path, code), tmp_path / "locks") as box:
        way = await box.way(lambda one: one.state is GatewayState.HUNG)
        assert "takes nothing of what it is sent" in way.reason
