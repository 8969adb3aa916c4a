"""`-P NAME.key=a,b`: the parameters of scenarios, as pydantic models and as the text that names a cell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bench.core.errors import BenchError, unknown

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bench.core.scenario import Scenario

ParamValues = dict[str, dict[str, list[str]]]
"""Scenario → key → values as they were typed."""
CLOSING = {"[": "]", "{": "}", "(": ")"}


def chosen_params(options: Sequence[str], scenarios: Sequence[Scenario]) -> dict[str, list[str]]:
    """Return by scenario the parameters of each of its cells as `cell_text`: every combination of what `-P` says.

    Without parameters that is one empty text. Raises `BenchError` with the option, and what is meant or allowed.
    """
    given = _parse_options(options)
    known = {scenario.name: scenario for scenario in scenarios}
    for name, keys in given.items():
        if name not in known:
            hint = f"-P {name}.{next(iter(keys))}: it is none of those chosen; to run it, name it as well"
            raise unknown("scenario", name, known, hint=hint)
        _check_keys(known[name], keys)
    return {scenario.name: list(_cells(scenario, given.get(scenario.name, {}))) for scenario in scenarios}


def instance(scenario: Scenario, text: str) -> BaseModel | None:
    """Parse what `cell_text` wrote; "" gives the defaults. Returns None for a scenario without parameters."""
    if scenario.params is None:
        return None
    return scenario.params.model_validate_json(text or "{}")


def cell_text(params: BaseModel) -> str:
    """Write all fields as compact JSON, sorted by name: the same parameters are the same text."""
    fields = params.model_dump(mode="json", by_alias=True, round_trip=True)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def default_text(scenario: Scenario) -> str:
    """Return the defaults of a scenario's parameters as `cell_text`; "" for a scenario without parameters."""
    return cell_text(scenario.params()) if scenario.params else ""


def field_defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the keys that may be set, and their defaults."""
    return json.loads(cell_text(model()))  # type: ignore[no-any-return]


_PARTS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|\\.|.', re.DOTALL)
"""A quoted text as a whole, whatever is escaped in it; anything else character by character."""


def split_values(text: str) -> list[str]:
    """Split at commas; a comma inside of brackets or quotes belongs to its value."""
    values, depth, start = list[str](), list[str](), 0
    for part in _PARTS.finditer(text):
        if part[0] in CLOSING:
            depth.append(CLOSING[part[0]])
        elif depth and part[0] == depth[-1]:
            depth.pop()
        elif part[0] == "," and not depth:
            values.append(text[start : part.start()])
            start = part.end()
    return [*values, text[start:]]


def _parse_options(options: Sequence[str]) -> ParamValues:
    given: ParamValues = {}
    for option in options:
        place, is_there, values = option.partition("=")
        name, dot, key = place.partition(".")
        if not (is_there and dot and name and key):
            raise BenchError(f"-P {option!r}: write it as SCENARIO.KEY=VALUE, for instance rag.top_k=3,10")
        given.setdefault(name, {}).setdefault(key, []).extend(split_values(values))
    return given


def _check_keys(scenario: Scenario, keys: Mapping[str, object]) -> None:
    if scenario.params is None:
        raise BenchError(f"-P {scenario.name}.{next(iter(keys))}: scenario {scenario.name!r} has no parameters")
    fields = field_defaults(scenario.params)
    for key in keys:
        if key not in fields:
            raise unknown("parameter", f"{scenario.name}.{key}", [f"{scenario.name}.{field}" for field in fields])


def _cells(scenario: Scenario, given: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if scenario.params is None:
        yield ""
        return
    texts = (_valid_text(scenario, dict(zip(given, values, strict=True))) for values in product(*given.values()))
    yield from dict.fromkeys(texts)


def _valid_text(scenario: Scenario, texts: Mapping[str, str]) -> str:
    """Validate one combination: each text is taken as JSON where that fits the field, else as the text itself."""
    assert scenario.params is not None  # noqa: S101  (asked by the callers)
    first: ValidationError | None = None
    for values in product(*map(_json_or_text, texts.values())):
        try:
            text = cell_text(scenario.params.model_validate(dict(zip(texts, values, strict=True))))
            scenario.params.model_validate_json(text)  # it is how the run will read it
        except ValidationError as error:
            first = first or error
        else:
            return text
    raise BenchError(_message(scenario, texts, first)) from first


def _json_or_text(text: str) -> list[Any]:
    try:
        return [json.loads(text), text]
    except json.JSONDecodeError:
        return [text]


def _message(scenario: Scenario, texts: Mapping[str, str], error: ValidationError | None) -> str:
    """Write pydantic's first complaint on one line, with the option that it is about."""
    problem = error.errors(include_url=False, include_context=False)[0] if error else {"loc": (), "msg": ""}
    loc = problem["loc"]
    key = str(loc[0]) if loc and str(loc[0]) in texts else None
    said = f"{key}={texts[key]}" if key else ",".join(f"{name}={text}" for name, text in texts.items())
    return f"-P {scenario.name}.{said}: {' '.join(str(problem['msg']).split())}"
