"""From the options of `bench run` to its `Settings`: option over `bench.toml` over default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.choice import Settings
from bench.config import parse_extra_body
from bench.configfile import load_config
from bench.endpoint import parse_header


def settings_from(options: Mapping[str, Any]) -> Settings:
    """`options` are those of the command, None where not given."""
    config = load_config(Path.cwd(), options["config_file"], os.environ)
    given = {name: value for name, value in options.items() if value not in (None, ())}
    given.pop("config_file", None)
    defaults = {name.replace("-", "_"): value for name, value in config.run.items()}
    if folder := defaults.pop("plugins_dir", None):
        defaults["plugins_dirs"] = (Path(folder),)
    if "headers" in given:
        given["headers"] = dict(map(parse_header, given["headers"]))
    if "extra_body" in given:
        given["extra_body"] = parse_extra_body(given["extra_body"])
    return Settings(**{**defaults, **given}, config=config)
