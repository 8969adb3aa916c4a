"""From the options of `bench run` to its `Settings`: option over `bench.toml` over default."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.choice import Settings
from bench.config import parse_extra_body
from bench.configfile import load_config
from bench.endpoint import parse_header
from bench.errors import BenchError
from bench.optiontypes import RUN_TYPES

_FINDABLE = re.compile(r"(?!latest(~\d*)?$)[^-/\\][^/\\]*")
"""A name that `bench report NAME` takes neither for an option, a path nor the latest run."""


def settings_from(options: Mapping[str, Any]) -> Settings:
    """`options` are those of the command, None where not given."""
    config = load_config(Path.cwd(), options["config_file"], os.environ)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    given.pop("config_file", None)
    _check_texts(given)
    defaults = {name.replace("-", "_"): value for name, value in config.run.items()}
    if "precision" in defaults:
        defaults["precision"] = RUN_TYPES["precision"].convert(str(defaults["precision"]), None, None)
    if budget := defaults.pop("budget", None):
        defaults["budgets"] = (budget,) if isinstance(budget, str) else tuple(budget)
    if folder := defaults.pop("plugins_dir", None):
        defaults["plugins_dirs"] = (Path(folder),)
    if "headers" in given:
        given["headers"] = dict(map(parse_header, given["headers"]))
    if "extra_body" in given:
        given["extra_body"] = parse_extra_body(given["extra_body"])
    return Settings(**{**defaults, **given}, config=config)


def _check_texts(given: Mapping[str, Any]) -> None:
    for name in ("prompt", "prompts"):
        if not given.get(name, "some").strip():
            raise BenchError(f"--{name} is empty; leave it out to use the scenarios' own prompts")
    if not _FINDABLE.fullmatch(given.get("name", "some")):
        raise BenchError(
            f"--name {given['name']!r}: `bench report` could not find it; "
            "choose one without a slash that does not begin with - and is not latest"
        )
