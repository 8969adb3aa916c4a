"""Make instances of the SDK's own classes without the SDK's validation of each event.

The SDK tries every event against a union of 59 classes, 100 µs each. Here the class is looked up by the event's `type`,
and its fields are set as received, nested objects too. As in the SDK, a missing field gets its default or None, and an
unknown field is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

_new = object.__new__
_set_values, _set_private, _set_extra, _set_given = (
    BaseModel.__dict__[name].__set__
    for name in ("__dict__", "__pydantic_private__", "__pydantic_extra__", "__pydantic_fields_set__")
)
Maker = Callable[[dict[str, Any]], Any]
_SEQUENCES = {"list", "Sequence", "Iterable", "Iterator"}


@dataclass(slots=True)
class _Shape:
    """The classes that a JSON value becomes, by its annotation."""

    by_type: dict[str, type[BaseModel]] = field(default_factory=dict)
    """Class of an object, by its `type`."""
    first: type[BaseModel] | None = None
    """Class of an object without a type, or with an unknown one; the SDK does the same."""
    item: _Shape | None = None
    """Shape of each item of a list."""


@cache
def event_maker(*, chat: bool) -> Maker:
    """Return a function that turns an event's JSON object, which it may change, into the SDK's event."""
    shape = _shape(ChatCompletionChunk if chat else ResponseStreamEvent)
    makers = {type_: _maker(model) for type_, model in shape.by_type.items()}
    other = _maker(shape.first)

    def make(data: dict[str, Any]) -> Any:
        try:
            maker = makers[data["type"]]
        except (KeyError, TypeError):  # none, one that is not known, or no text
            maker = other
        return maker(data)

    return make if makers else other


def answer_of(data: Any, *, chat: bool) -> Any:
    """Turn a blocking answer's JSON value, which is changed, into the SDK's `Response` or `ChatCompletion`."""
    return _value(_answer_shape(chat=chat), data)


@cache
def _answer_shape(*, chat: bool) -> _Shape:
    return _shape(ChatCompletion if chat else Response)


def _value(shape: _Shape, value: Any) -> Any:
    if type(value) is dict:
        type_ = value.get("type")
        model = (shape.by_type.get(type_) if type(type_) is str else None) or shape.first
        return _maker(model)(value) if model else value
    if type(value) is list and shape.item:
        item = shape.item
        return [_value(item, one) for one in value]
    return value


@cache
def _maker(model: Any) -> Maker:
    """Return a function that does what pydantic's `model_construct` does in a hundredth of the time."""
    fields = model.model_fields
    names = frozenset(fields)
    defaults = {name: None if found.is_required() else found.get_default() for name, found in fields.items()}
    shapes = {name: _shape(found.annotation) for name, found in fields.items()}
    nested = tuple((name, shape) for name, shape in shapes.items() if shape.first or shape.item)
    renamed = tuple((found.alias, name) for name, found in fields.items() if found.alias not in {None, name})
    everything = set(names)  # shared: setting a field adds nothing to it

    def make(data: dict[str, Any]) -> Any:
        for name, own in renamed:
            if name in data:
                data[own] = data.pop(name)
        for name, shape in nested:
            value = data.get(name)
            if value or type(value) is dict:
                data[name] = _value(shape, value)
        given, extra = everything, {}
        if data.keys() != names:
            given = set(data)
            extra = {name: data.pop(name) for name in given - names}
            given &= names
            data = {**defaults, **data}
        made = _new(model)
        _set_values(made, data)
        _set_private(made, None)
        _set_extra(made, extra)
        _set_given(made, given)
        return made

    return make


def _shape(annotation: Any) -> _Shape:
    annotation = getattr(annotation, "__value__", annotation)  # a type alias
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return _merge([_shape(one) for one in get_args(annotation)])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _Shape(dict.fromkeys(_types_of(annotation), annotation), annotation)
    if getattr(origin, "__name__", "") in _SEQUENCES:
        item = _shape(*get_args(annotation)[:1])
        return _Shape(item=item if item.first or item.item else None)
    return _Shape()


def _merge(shapes: list[_Shape]) -> _Shape:
    """Merge the shapes of a union: the first that fits counts."""
    merged = _Shape()
    for shape in shapes:
        merged.by_type = {**shape.by_type, **merged.by_type}
        merged.first = merged.first or shape.first
        merged.item = merged.item or shape.item
    return merged


def _types_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the possible values of the `type` of a class."""
    found = model.model_fields.get("type")
    return tuple(_literals(found.annotation)) if found else ()


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [value for value in get_args(annotation) if isinstance(value, str)]
    return [value for one in get_args(annotation) for value in _literals(one)]
