"""Make the settings of `bench doctor` from its options."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cli.config_file import load_config
from bench.core.target import parse_header
from bench.doctor.settings import DoctorSettings
from bench.plan.targets import parse_extra_body


def settings_from(options: Mapping[str, Any]) -> DoctorSettings:
    """`options` as click gives them, None or empty where not given. Raises `BenchError` for what is wrong in a file."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    config = load_config(Path.cwd(), given.pop("config_file", None), os.environ)
    if "headers" in given:
        given["headers"] = dict(map(parse_header, given["headers"]))
    if "extra_body" in given:
        given["extra_body"] = parse_extra_body(given["extra_body"])
    return DoctorSettings(**given, config=config)
