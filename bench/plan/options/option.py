"""Declare an option once: flag, values, help, and where else the value goes.

A field of a frozen dataclass (`Settings` of a run, `Output` of a report) is an option when `option()` makes it. The
command line, `[run]` of bench.toml with its JSON Schema, plan.json, the workers and docs/cli.md follow from these
declarations. Nothing here knows click: `bench.cli.options` wraps a `Kind` into a click type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from bench.plan.options.kinds import TEXT, TOGGLE, Kind

Group = Literal["Target", "Workload", "How much", "Load", "Checks", "Output", ""]


@dataclass(frozen=True, kw_only=True)
class Option:
    """The declaration of an option."""

    flags: tuple[str, ...]
    """As click takes them: `-t`, `--tag`; `--memory/--no-memory`."""
    kind: Kind
    help: str
    metavar: str | None = None
    group: Group = ""
    """The heading in the help of a command; "": none."""
    repeat: bool = False
    """True where the option may be given several times; the value then is a tuple."""
    finish: Callable[[Any], Any] | None = None
    """Makes the field's value of what the option was given; its BenchErrors name the option."""
    env: str | None = None
    """An environment variable that says the same."""
    toml: bool = False
    """True where the option may stand in `[run]` of bench.toml, under its flag's name."""
    needs: Literal["load", "rate", ""] = ""
    """The option means nothing without trials under load, or without open loop."""
    instead_of: str = ""
    """The field whose default gives way to this option when it is typed, and the reverse."""
    in_try: bool = False
    """True where `bench try` takes the option too."""
    plan_key: str = ""
    """Key of the value in plan.json; "": not stored there."""
    manifest_key: str = ""
    """Key of the value in `settings` of manifest.json; "": not stored there."""
    to_worker: bool = False
    """True where the workers of a run need the value."""
    in_effect: str = ""
    """The property that says the value in effect, where that depends on other options."""

    @property
    def flag(self) -> str:
        """The long flag: `--tag`, `--memory`."""
        return next(flag for flag in self.flags if flag.startswith("--")).partition("/")[0]

    @property
    def key(self) -> str:
        """The name in bench.toml: `max-retries`."""
        return self.flag.removeprefix("--")

    @property
    def toml_types(self) -> tuple[type, ...]:
        """The types of TOML that the option takes."""
        return (*self.kind.toml_types, list) if self.repeat else self.kind.toml_types

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the value in bench.toml."""
        one = self.kind.schema
        several = {"anyOf": [one, {"type": "array", "items": one}]} if self.repeat else one
        return {**several, "description": self.help}

    def from_toml(self, value: object) -> Any:
        """Return the field's value for a value in bench.toml of one of `toml_types`. BenchError where it is wrong."""
        values = value if isinstance(value, list) else [value]
        found = tuple(self.kind.convert(one if isinstance(one, bool) else str(one)) for one in values)
        return found if self.repeat else found[0]


def option(default: Any, *flags: str, kind: Kind | None = None, help: str, **more: Any) -> Any:  # noqa: A002  (click's word)
    """Declare a field that is an option: its default, its flags, what it accepts. `more` is of `Option`."""
    declared = Option(flags=flags, kind=kind or (TOGGLE if isinstance(default, bool) else TEXT), help=help, **more)
    metadata = {"option": declared}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


target_option = partial(option, group="Target", in_try=True)
workload_option = partial(option, group="Workload")
amount_option = partial(option, group="How much", toml=True)
load_option = partial(option, group="Load", toml=True)


def given_values(owner: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a dataclass that were given, as its fields have them; None and () are not given."""
    return {
        name: one.finish(given[name]) if one.finish else given[name]
        for name, one in options_of(owner).items()
        if given.get(name) not in (None, ())
    }


def options_of(owner: type) -> Mapping[str, Option]:
    """Return the options of a dataclass by the names of their fields, in the order of the fields."""
    return {one.name: one.metadata["option"] for one in fields(owner) if "option" in one.metadata}


def _value_in_effect(settings: Any, name: str) -> Any:
    """Return the value of an option that counts in this run."""
    return getattr(settings, options_of(type(settings))[name].in_effect or name)


def stored_values(settings: Any, where: Literal["plan_key", "manifest_key"]) -> dict[str, Any]:
    """Return what plan.json or manifest.json keeps of the options, by key, as JSON values."""
    keys = ((getattr(declared, where), name) for name, declared in options_of(type(settings)).items())
    return {key: _plain(_value_in_effect(settings, name)) for key, name in keys if key}


def worker_values(settings: Any) -> dict[str, Any]:
    """Return the options that a worker needs, by field."""
    return {name: _value_in_effect(settings, name) for name, one in options_of(type(settings)).items() if one.to_worker}


def toml_options(owner: type) -> dict[str, tuple[str, Option]]:
    """Return the options that may stand in bench.toml: by key the field and its declaration."""
    return {one.key: (name, one) for name, one in options_of(owner).items() if one.toml}


def alternatives(owner: type) -> Iterator[tuple[str, str]]:
    """Yield the pairs of fields of which the default of one gives way where the other is typed."""
    for name, one in options_of(owner).items():
        if one.instead_of:
            yield from ((name, one.instead_of), (one.instead_of, name))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; `Slo` and `Budget` as their text."""
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return value if value is None or isinstance(value, bool | int | float) else str(value)
