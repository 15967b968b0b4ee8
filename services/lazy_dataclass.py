"""Dataclasses that cost little to define: their methods are compiled when they are first called.

The standard decorator compiles six methods for each class when its module is loaded: half a
millisecond a class, for some hundred classes before the panel's first frame, which uses few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from collections.abc import Callable, Sequence
    from reprlib import recursive_repr

    _ORDERS = {"__lt__": "<", "__le__": "<=", "__gt__": ">", "__ge__": ">="}

    def dataclass(
        cls: type | None = None,
        /,
        *,
        frozen: bool = False,
        slots: bool = False,
        eq: bool = True,
        order: bool = False,
    ) -> object:
        """`dataclasses.dataclass`, with the parameters and the kinds of fields used here.

        Raises:
            TypeError: a field is no parameter, or given by its name alone.
        """
        if cls is None:
            return lambda one: dataclass(one, frozen=frozen, slots=slots, eq=eq, order=order)
        own = vars(cls).copy()
        if not cls.__doc__:
            cls.__doc__ = cls.__name__  # else a signature is worked out for it
        made = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots)
        fields = dataclasses.fields(made)
        if any(not one.init or one.kw_only for one in fields):
            raise TypeError(f"{cls.__name__} has a field of a kind that is not supported")
        written = {"__init__": lambda: _init(made, fields, frozen)}
        if eq:
            compared = [one.name for one in fields if one.compare]
            written["__eq__"] = lambda: _comparison(compared, "==")
            if frozen:
                written["__hash__"] = lambda: _method(f"return hash({_values('self', compared)})")
            elif "__hash__" not in own:
                made.__hash__ = None
        for name, sign in _ORDERS.items() if order else ():
            written[name] = lambda sign=sign: _comparison(compared, sign)
        for name, write in written.items():
            if own.get(name) is None:
                setattr(made, name, _compiled_when_called(made, name, write))
        if "__repr__" not in own:
            made.__repr__ = _repr_of(fields)
        if frozen:
            made.__setattr__, made.__delattr__ = _refuse_assignment, _refuse_deletion
            if slots and "__getstate__" not in own:
                made.__getstate__, made.__setstate__ = _get_state, _set_state
        return made

    def _compiled_when_called(
        cls: type, name: str, write: Callable[[], Callable[..., object]]
    ) -> Callable[..., object]:
        """A method that puts the compiled one in its own place."""

        def first_call(self: object, /, *args: object, **named: object) -> object:
            method = write()
            method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
            setattr(cls, name, method)
            return method(self, *args, **named)

        return first_call

    def _method(
        *lines: str, takes: Sequence[str] = ("self",), **scope: object
    ) -> Callable[..., object]:
        exec(f"def method({', '.join(takes)}):\n " + "\n ".join(lines), scope)  # noqa: S102
        return scope["method"]

    def _init(
        cls: type, fields: Sequence[dataclasses.Field[object]], frozen: bool
    ) -> Callable[..., object]:
        scope = {"_absent": dataclasses.MISSING, "_put": object.__setattr__}
        takes, lines = ["self"], []
        for field in fields:
            name = value = parameter = field.name
            if field.default is not dataclasses.MISSING:
                parameter, scope[f"_{name}_"] = f"{name}=_{name}_", field.default
            elif field.default_factory is not dataclasses.MISSING:
                parameter, scope[f"_{name}_"] = f"{name}=_absent", field.default_factory
                value = f"_{name}_() if {name} is _absent else {name}"
            takes.append(parameter)
            lines.append(f"_put(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append("self.__post_init__()")
        return _method(*lines, "return None", takes=takes, **scope)

    def _comparison(names: Sequence[str], sign: str) -> Callable[..., object]:
        return _method(
            "if other.__class__ is not self.__class__: return NotImplemented",
            f"return {_values('self', names)} {sign} {_values('other', names)}",
            takes=("self", "other"),
        )

    def _values(of: str, names: Sequence[str]) -> str:
        return f"({''.join(f'{of}.{name}, ' for name in names)})"

    def _repr_of(fields: Sequence[dataclasses.Field[object]]) -> Callable[[object], str]:
        @recursive_repr()
        def __repr__(self: object) -> str:
            told = (f"{one.name}={getattr(self, one.name)!r}" for one in fields if one.repr)
            return f"{type(self).__qualname__}({', '.join(told)})"

        return __repr__

    def _refuse_assignment(self: object, name: str, value: object) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_deletion(self: object, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def _get_state(self: object) -> list[object]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def _set_state(self: object, state: list[object]) -> None:
        for field, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, field.name, value)
