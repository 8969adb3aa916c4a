"""Take the conditions of the gate from the command line or from bench.toml."""

from __future__ import annotations

from dataclasses import replace

from bench.core.errors import BenchError
from bench.gate.condition import parse_condition
from bench.plan.config import Config
from bench.reports.output import Output

NO_CONDITION = "none"
"""`--fail-on none`: no condition, regardless of the file."""


def with_conditions(output: Output, config: Config) -> Output:
    """Return the options with the conditions to decide: those of `--fail-on`, or else those of the file's `[gate]`.

    BenchError where one cannot be parsed.
    """
    conditions = list(output.fail_on) or list(config.gate.get("fail-on", ()))
    conditions = [text for text in conditions if text.strip() != NO_CONDITION]
    for text in conditions:
        parse_condition(text)
    if output.junit and not conditions:
        raise BenchError("--junit has no condition to write down; add --fail-on CONDITION, or [gate] to bench.toml")
    allowed = output.allow_undecided or bool(config.gate.get("allow-undecided"))
    return replace(output, fail_on=tuple(conditions), allow_undecided=allowed)
