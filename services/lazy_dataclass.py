"""Dataclasses whose methods are compiled when they are first called, not when their class is made.

The standard decorator compiles six methods for each class when its module is loaded: half a
millisecond a class, for some hundred classes before the panel's first frame, which uses few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    _COMPILED_FOR = {
        "__init__": {"init": True},
        "__repr__": {"repr": True},
        "__eq__": {"eq": True},
        "__hash__": {"unsafe_hash": True},
        **{f"__{name}__": {"eq": True, "order": True} for name in ("lt", "le", "gt", "ge")},
    }
    _OFF = {"init": False, "repr": False, "eq": False}

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        slots: bool = False,
        eq: bool = True,
        order: bool = False,
    ) -> object:
        """`dataclasses.dataclass`, with the parameters that are used here.

        Raises:
            TypeError: a base class is a frozen dataclass of the standard kind.
        """
        if cls is None:
            return lambda one: dataclass(one, frozen=frozen, slots=slots, eq=eq, order=order)
        return _define(cls, frozen, slots, eq, order)

    def _define(cls: type, frozen: bool, slots: bool, eq: bool, order: bool) -> type:
        own = dict(vars(cls))
        if not cls.__doc__:
            cls.__doc__ = cls.__name__  # else a signature is worked out for it
        made = dataclasses.dataclass(cls, slots=slots, **_OFF)
        names = ["__init__", "__repr__"]
        if eq:
            names.append("__eq__")
            if frozen:
                names.append("__hash__")
            elif "__hash__" not in own:
                made.__hash__ = None
        if order:
            names += ["__lt__", "__le__", "__gt__", "__ge__"]
        for name in names:
            if own.get(name) is None:
                setattr(made, name, _compiled_when_called(made, name, frozen))
        if frozen:
            made.__setattr__, made.__delattr__ = _refuse_assignment, _refuse_deletion
            if slots and "__getstate__" not in own:
                made.__getstate__, made.__setstate__ = _get_state, _set_state
        return made

    def _compiled_when_called(cls: type, name: str, frozen: bool) -> object:
        """A method that puts the compiled one in its own place."""

        def first_call(*args: object, **given: object) -> object:
            method = _compile(cls, name, frozen and name == "__init__")
            setattr(cls, name, method)
            return method(*args, **given)

        return first_call

    def _compile(cls: type, name: str, frozen: bool) -> object:
        """Let the standard decorator write a method, for a class of the same fields."""
        fields = cls.__dataclass_fields__
        parts = {
            **fields,
            "__annotations__": {key: field.type for key, field in fields.items()},
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__doc__": cls.__doc__,
        }
        if hasattr(cls, "__post_init__"):
            parts["__post_init__"] = cls.__post_init__
        twin = type(cls.__name__, (), parts)
        chosen = {**_OFF, **_COMPILED_FOR[name]}
        return vars(dataclasses.dataclass(twin, frozen=frozen, **chosen))[name]

    def _refuse_assignment(self: object, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_deletion(self: object, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def _get_state(self: object) -> list[object]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def _set_state(self: object, state: list[object]) -> None:
        for field, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, field.name, value)
