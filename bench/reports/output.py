"""Hold the options about the end of `bench run`, `bench report` and `bench compare`: files, form, and the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from bench.plan.baseline import Baseline
from bench.records.find import find_run


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a result is shown, and what it is held against."""

    exports: Sequence[str] = ()
    """`NAME` or `NAME=FILE`, as typed."""
    as_json: bool = False
    """summary.json to stdout instead of the table."""
    open_html: bool = False
    anonymize: bool = False
    baseline: str | None = None
    """A stored run, as `bench report` takes it."""
    baseline_target: str | None = None
    """A target of this run that the others are compared with."""
    baseline_model: str | None = None
    fail_on: Sequence[str] = ()
    """Conditions of the gate, as typed."""
    allow_undecided: bool = False
    junit: Path | None = None


NAMES = frozenset(field.name for field in fields(Output))


def output_from(options: Mapping[str, Any]) -> Output:
    """Pick the options that are about the output."""
    return Output(**{name: value for name, value in options.items() if name in NAMES})


def baseline_of(output: Output) -> Baseline | None:
    """Return the target and model to compare with, as the manifest has them; None where neither was named."""
    names = {"target": output.baseline_target, "model": output.baseline_model}
    return names if any(names.values()) else None


def with_baseline_path(output: Output, out: Path) -> Output:
    """Resolve `--baseline` to a path, before a run begins that would be `latest` itself."""
    return replace(output, baseline=str(find_run(out, output.baseline))) if output.baseline else output
