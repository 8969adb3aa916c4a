"""Take the conditions of the gate from the command line or from bench.toml."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BenchError
from bench.gate.condition import parse_condition
from bench.reports.output import Output

if TYPE_CHECKING:
    from bench.plan.config import Config

NO_CONDITION = "none"
"""`--fail-on none`: whatever the file says."""


def gated(output: Output, config: Config) -> Output:
    """With the conditions that hold: those of `--fail-on`, or else those of the file's `[gate]`. All can be parsed."""
    conditions = list(output.fail_on) or list(config.gate.get("fail-on", ()))
    conditions = [text for text in conditions if text.strip() != NO_CONDITION]
    for text in conditions:
        parse_condition(text)
    if output.junit and not conditions:
        raise BenchError("--junit has no condition to write down; add --fail-on CONDITION, or [gate] to bench.toml")
    allowed = output.allow_undecided or bool(config.gate.get("allow-undecided"))
    return replace(output, fail_on=tuple(conditions), allow_undecided=allowed)


def gated_here(output: Output) -> Output:
    """The same with the project's files of the current folder."""
    from bench.cli.config_file import load_config  # noqa: PLC0415

    return gated(output, load_config(Path.cwd(), None, os.environ))
