"""Our dataclasses behave as the standard ones do, whose decorator they stand for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, replace
from typing import Any, ClassVar

import pytest

from services.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """Two numbers and what is known of them."""

    ROOT: ClassVar[int] = 0
    x: int
    y: int = 2
    notes: list[str] = field(default_factory=list, compare=False)
    secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("too far left")


@dataclass(frozen=True, slots=True)
class DeepPoint(Point):
    """One that inherits fields."""

    z: int = 3


def kind(decorate: Callable[..., Any], **options: bool) -> Any:
    """A class of the same two fields, made by one decorator or the other."""

    class Both:
        """Two values."""

        a: int
        b: str = "b"

    return decorate(**options)(Both)


OPTIONS: tuple[dict[str, bool], ...] = (
    {},
    {"slots": True},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "order": True},
    {"frozen": True, "slots": True, "eq": False},
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_answers_as_the_standard_one_does(options: dict[str, bool]) -> None:
    told = []
    for decorate in (dataclasses.dataclass, dataclass):
        made = kind(decorate, **options)
        one, same, other = made(1), made(1, "b"), made(a=2, b="c")
        answers: list[object] = [
            repr(one),
            one == same,
            one == other,
            one == (1, "b"),
            dataclasses.astuple(other),
            dataclasses.astuple(replace(one, b="z")),
            made.__match_args__,
            hasattr(one, "__dict__"),
        ]
        for act in (
            lambda one=one, same=same: hash(one) == hash(same),
            lambda one=one, other=other: (one < other, one <= other, one > other, one >= other),
            lambda one=one: one < 1,
            lambda one=one: setattr(one, "a", 5),
            lambda one=one: delattr(one, "b"),
            lambda made=made: made(),
            lambda made=made: made(1, "b", 3),
            lambda made=made: made(1, c=3),
        ):
            try:
                answers.append(act())
            except (TypeError, AttributeError) as error:
                answers.append(type(error))
        told.append(answers)
    assert told[0] == told[1]


def test_fields_with_defaults_are_each_instance_s_own() -> None:
    one, two = Point(1), Point(1, 2, ["told"], "hidden")
    one.notes.append("mine")
    assert Point(1).notes == [] and two.notes == ["told"]
    assert one == two or one.secret != two.secret
    assert replace(two, secret="") == one and hash(replace(two, secret="")) == hash((1, 2, ""))
    assert repr(two) == "Point(x=1, y=2, notes=['told'])"


def test_it_checks_itself_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="too far left"):
        Point(-1)
    with pytest.raises(FrozenInstanceError, match="'x'"):
        Point(1).x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="'x'"):
        del Point(1).x


def test_a_class_that_inherits_has_all_the_fields() -> None:
    assert repr(DeepPoint(1, z=9)) == "DeepPoint(x=1, y=2, notes=[], z=9)"
    assert DeepPoint(1) != Point(1) and DeepPoint(1) == DeepPoint(1)
    with pytest.raises(ValueError, match="too far left"):
        DeepPoint(-1)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_it_can_be_copied_and_stored(again: Callable[[Point], Point]) -> None:
    assert again(Point(1, 5, ["n"], "s")) == Point(1, 5, ["n"], "s")


def test_methods_of_its_own_stay() -> None:
    @dataclass(frozen=True)
    class Own:
        """Says and compares by itself."""

        value: int

        def __repr__(self) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert (repr(Own(1)), Own(1) == Own(2), hash(Own(1))) == ("mine", True, 7)


def test_what_holds_itself_can_be_shown() -> None:
    @dataclass
    class Ring:
        """A value that may hold itself."""

        inner: object = None

    ring = Ring()
    ring.inner = ring
    assert repr(ring).endswith("Ring(inner=...)")


def test_a_kind_of_field_it_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match="Strange has a field of a kind"):

        @dataclass
        class Strange:
            """Its field is no parameter."""

            value: int = field(default=1, init=False)
