"""Which sandbox a typed name means, where some lists are not known."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.board.lookup import find, find_or_ask, refuse_unsure
from services.errors import AmbiguousError, NotFoundError, RefusedError, UnavailableError
from services.models import Sandbox, SandboxId, SandboxState


def box(source: str, name: str) -> Sandbox:
    return Sandbox(SandboxId(source, name), name, SandboxState.READY, "", 1000.0)


class Sources:
    """Sources whose lists are not known; those with names can be asked for one."""

    def __init__(self, **answers: tuple[str, ...] | None) -> None:
        self.answers: Mapping[str, tuple[str, ...] | None] = answers
        self.asked: list[str] = []

    async def ask(self, source: str, name: str) -> Sandbox | None:
        self.asked.append(f"{source}/{name}")
        names = self.answers[source]
        if names is None:
            raise UnavailableError("It refused the login.")
        return box(source, name) if name in names else None

    @property
    def unknown(self) -> dict[str, str]:
        return dict.fromkeys(self.answers, "The list failed.")


async def test_a_name_is_asked_for_where_the_list_is_not_known() -> None:
    sources = Sources(gate=("ready-a",))
    found = await find_or_ask([], "ready-a", sources.unknown, sources.ask)
    assert (str(found.sandbox.id), found.unsure) == ("gate/ready-a", ())
    with pytest.raises(NotFoundError):
        await find_or_ask([], "other", sources.unknown, sources.ask)
    assert sources.asked == ["gate/ready-a", "gate/other"]


async def test_none_known_and_a_source_that_cannot_say_is_not_none() -> None:
    sources = Sources(far=None)
    with pytest.raises(UnavailableError, match=r"not known\. far: It refused the login"):
        await find_or_ask([box("here", "a")], "b", sources.unknown, sources.ask)
    with pytest.raises(NotFoundError):
        await find_or_ask(
            [box("here", "a")], "here/b", sources.unknown, sources.ask, ["here", "far"]
        )


async def test_a_bare_name_is_unsure_and_a_full_one_is_not() -> None:
    sources = Sources(far=None)
    rows = [box("here", "a")]
    bare = await find_or_ask(rows, "a", sources.unknown, sources.ask)
    assert bare.unsure == ("far",)
    with pytest.raises(RefusedError) as refused:
        refuse_unsure(bare, "a")
    assert refused.value.advice == "Say which: here/a, far/a."
    full = await find_or_ask(rows, "here/a", sources.unknown, sources.ask, ["here", "far"])
    assert full.unsure == ()
    refuse_unsure(full, "here/a")


async def test_one_listed_and_one_that_answers_are_two() -> None:
    sources = Sources(far=("a",))
    with pytest.raises(AmbiguousError, match="far/a, here/a"):
        await find_or_ask([box("here", "a")], "a", sources.unknown, sources.ask)


async def test_nobody_is_asked_where_everything_is_known() -> None:
    sources = Sources()
    found = await find_or_ask([box("here", "a")], "a", {}, sources.ask)
    assert (found.sandbox.name, sources.asked) == ("a", [])


def test_a_name_with_control_characters_is_typed_as_it_is_printed() -> None:
    odd = box("here", "a\x07b")
    plain = box("here", "ab")
    assert find([odd, plain], "a‹0007›b") is odd
    assert find([odd, plain], "here/a‹0007›b") is odd
