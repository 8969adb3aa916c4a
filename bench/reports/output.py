"""The options about the end of `bench run`, `bench report` and `bench compare`: files, form, and the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.plan.baseline import Baseline
from bench.plan.options.kinds import PATH
from bench.plan.options.option import option


@dataclass(frozen=True, kw_only=True)
class Output:
    """How a result is shown, and what it is held against."""

    exports: Sequence[str] = option(
        (),
        "--export",
        repeat=True,
        metavar="NAME[=FILE]",
        group="Output",
        help="Write this report as well, or to this file; - is stdout. `bench list` names them. Repeatable.",
    )
    """`NAME` or `NAME=FILE`, as typed."""
    as_json: bool = option(False, "--json", group="Output", help="Print JSON instead of the table.")
    open_html: bool = option(False, "--open", group="Output", help="Show the HTML in the browser.")
    anonymize: bool = option(
        False,
        "--anonymize",
        group="Output",
        help="Call hosts host-1, host-2, … in all that this command writes and prints; the run's records keep them.",
    )
    baseline: str | None = option(
        None,
        "--baseline",
        metavar="RUN",
        group="Checks",
        help="Compare with this stored run: a folder, an id, a --name, latest~1.",
    )
    """A stored run, as `bench report` takes it."""
    baseline_target: str | None = option(
        None,
        "--baseline-target",
        metavar="NAME",
        group="Checks",
        help="Compare the other targets of this run with this one, pair by pair.",
    )
    """A target of this run that the others are compared with."""
    baseline_model: str | None = option(
        None,
        "--baseline-model",
        metavar="NAME",
        group="Checks",
        help="Compare the other models of this run with this one, pair by pair.",
    )
    fail_on: Sequence[str] = option(
        (),
        "--fail-on",
        repeat=True,
        metavar="CONDITION",
        group="Checks",
        help="Exit 1 where this is so: 'text.ttft:+10%' (against the baseline), 'ttft.p90 > 2s', 'failures > 1%'. "
        "Repeatable. They replace those in [gate] of bench.toml; `none` is no condition.",
    )
    """Conditions of the gate, as typed."""
    allow_undecided: bool = option(
        False, "--allow-undecided", group="Checks", help="Let a condition that the data cannot decide pass."
    )
    junit: Path | None = option(
        None, "--junit", kind=PATH, metavar="FILE", group="Checks", help="Write the conditions as JUnit XML."
    )

    @property
    def within_run(self) -> Baseline | None:
        """The target and the model that the others of the run are compared with; None where neither is named."""
        names = {"target": self.baseline_target, "model": self.baseline_model}
        return names if any(names.values()) else None
