"""From the options of `bench run` and `bench try` to `Settings`: option over bench.toml over default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.config_file import load_config
from bench.plan.checks.load import check_load
from bench.plan.options.option import alternatives, given_values, options_of
from bench.plan.settings import Settings


def settings_from(options: Mapping[str, Any]) -> Settings:
    """Make the settings of a command's options, by field, None or () where not given.

    A default in bench.toml is left out where the command does not have the option, where another option rules it out,
    and where it needs a load that nobody chose.
    """
    config = load_config(Path.cwd(), options["config_file"], os.environ)
    given = given_values(Settings, options)
    defaults = {name: value for name, value in config.run.items() if name in options}
    for typed, moot in alternatives(Settings):
        if typed in given:
            defaults.pop(moot, None)
    chosen = Settings(**{name: {**defaults, **given}.get(name, ()) for name in ("concurrency", "rates")})
    met = {"": True, "load": chosen.under_load, "rate": bool(chosen.rates)}
    for name, option in options_of(Settings).items():
        if not met[option.needs]:
            defaults.pop(name, None)
    settings = Settings(**{**defaults, **given}, arguments=options.get("arguments", ()), config=config)
    check_load(settings)
    return settings
