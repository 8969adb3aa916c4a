"""From the options of `bench run` to its `Settings`: option over `bench.toml` over default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.config_file import load_config
from bench.cli.option_types import RUN_TYPES
from bench.core.errors import BenchError
from bench.core.target import parse_header
from bench.plan.check_load import check_load
from bench.plan.settings import Settings
from bench.plan.targets import parse_extra_body
from bench.reports.output import NAMES as OUTPUT

CONVERTED = ("precision", "concurrency", "client", "rate", "ramp", "duration", "events")
"""Defaults of `bench.toml` that are written as on the command line."""
FIELDS = {
    "budget": "budgets",
    "slo": "slos",
    "client": "clients",
    "rate": "rates",
    "max_retries": "retries",
}
"""Names in `bench.toml` that differ from those of `Settings`."""
SEVERAL = {"budgets", "slos"}
ALTERNATIVES = (("concurrency", "rates"), ("duration", "requests"), ("workers", "scheduler"))
"""Fields of which a default gives way where the other one was typed."""
OF_LOAD = ("ramp", "duration", "requests", "workers")
OF_RATE = ("arrivals", "max_in_flight")
"""Fields that say nothing without a load, and without open loop."""
_FINDABLE = re.compile(r"(?!latest(~\d*)?$)[^-/\\][^/\\]*")
"""A name that `bench report NAME` takes neither for an option, a path nor the latest run."""


def settings_from(options: Mapping[str, Any]) -> Settings:
    """`options` are those of the command, None where not given: a default of another command's option is none here."""
    config = load_config(Path.cwd(), options["config_file"], os.environ)
    given = {name: value for name, value in options.items() if value not in (None, ()) and name not in OUTPUT}
    given.pop("config_file", None)
    _check_texts(given)
    defaults = {name.replace("-", "_"): value for name, value in config.run.items()}
    for name in CONVERTED:
        if name in defaults:
            defaults[name] = RUN_TYPES[name].convert(str(defaults[name]), None, None)
    for name, field in FIELDS.items():
        if name in defaults:
            value = defaults.pop(name)
            defaults[field] = tuple(value) if isinstance(value, list) else (value,) if field in SEVERAL else value
    if folder := defaults.pop("plugins_dir", None):
        defaults["plugins_dirs"] = (Path(folder),)
    if "headers" in given:
        given["headers"] = dict(map(parse_header, given["headers"]))
    if "extra_body" in given:
        given["extra_body"] = parse_extra_body(given["extra_body"])
    defaults = {name: value for name, value in defaults.items() if name in options}
    _leave_out_moot(defaults, given)
    settings = Settings(**{**defaults, **given}, config=config)
    check_load(settings)
    return settings


def _leave_out_moot(defaults: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Take out what `given` rules out by another choice, and what needs a load that was not chosen."""
    for one, other in ALTERNATIVES:
        for typed, moot in ((one, other), (other, one)):
            if typed in given:
                defaults.pop(moot, None)
    chosen = Settings(**{name: {**defaults, **given}.get(name, ()) for name in ("concurrency", "rates")})
    needless = [] if chosen.rates else list(OF_RATE)
    if all(load.sequential for load in chosen.loads):
        needless += OF_LOAD
    for name in needless:
        defaults.pop(name, None)


def _check_texts(given: Mapping[str, Any]) -> None:
    for name in ("prompt", "prompts"):
        if not given.get(name, "some").strip():
            raise BenchError(f"--{name} is empty; leave it out to use the scenarios' own prompts")
    if not _FINDABLE.fullmatch(given.get("name", "some")):
        raise BenchError(
            f"--name {given['name']!r}: `bench report` could not find it; "
            "choose one without a slash that does not begin with - and is not latest"
        )
