"""Check conditions before anything is sent: names, units and what they are compared with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bench.core.errors import unknown
from bench.core.results.metrics.metric import Metric
from bench.core.results.metrics.registry import BY_NAME
from bench.core.text.terminal import say
from bench.gate.condition import STATISTICS, Condition, parse_condition, readings
from bench.gate.units import fits, unit_error
from bench.records.schema import TRIAL_STATUS
from bench.reports.output import Output

if TYPE_CHECKING:
    from bench.plan.choice import Choice

NO_BASELINE = "against which baseline? add --baseline RUN (a stored run), or --baseline-target or --baseline-model NAME"
CLASSES = tuple(status for status in TRIAL_STATUS if status not in {"ok", "cancelled"})


def check_early(conditions: Sequence[str], choice: Choice, output: Output, *, delivery: str = "both") -> None:
    """Raise `BenchError` for a condition that the chosen run cannot answer.

    A metric that nobody knows is only said: the scenarios may record it.
    """
    scenarios = {scenario.name for scenario in choice.scenarios}
    targets = list(dict.fromkeys(target.name for target, _ in choice.targets))
    for condition in map(parse_condition, conditions):
        if condition.target is not None and condition.target not in targets:
            raise condition.wrong(f"{unknown('target', condition.target, targets)} (of this run)")
        if condition.operator == ":":
            _check_baseline(condition, output)
        _check_name(condition, scenarios, delivery)


def _check_baseline(condition: Condition, output: Output) -> None:
    if not (output.baseline or output.baseline_target or output.baseline_model):
        raise condition.wrong(NO_BASELINE)
    only = output.baseline_target and not (output.baseline or output.baseline_model)
    if only and condition.target == output.baseline_target:
        raise condition.wrong(f"target {condition.target} is the baseline itself; name another one behind @")


def _check_name(condition: Condition, scenarios: Collection[str], delivery: str) -> None:
    for _, name, _ in readings(condition.name, scenarios):
        if metric := known_metric(name):
            _check_metric(condition, name, metric, delivery)
            return
    if error := misspelt(condition.name, scenarios):
        raise condition.wrong(error)
    if "mark" in condition.name:
        return
    near = get_close_matches(condition.name[-1], BY_NAME, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    say(f"--fail-on {condition.text!r}: no metric of bench; looked for among what the scenarios record{hint}")


def _check_metric(condition: Condition, name: str, metric: Metric, delivery: str) -> None:
    wanted = condition.delivery or ("streamed" if "streamed" in metric.deliveries else metric.deliveries[0])
    if wanted not in metric.deliveries:
        raise condition.wrong(f"{name} is not of /{wanted}; it is of {' and '.join(metric.deliveries)}")
    lacking = wanted in {"streamed", "blocking"} and delivery not in {"both", wanted}
    if lacking or (metric.of == "pairs" and delivery != "both"):
        raise condition.wrong(f"{name} is of {wanted} trials and --delivery {delivery} leaves them out")
    units = [*metric.unit.split(", "), *(["share"] if metric.name == "failures" else [])]
    if not any(fits(condition, unit) for unit in units):
        raise condition.wrong_unit(unit_error(condition, name, units))


def known_metric(name: str) -> Metric | None:
    """Return the metric of the registry with this name, or the family that the name belongs to."""
    if name in BY_NAME:
        return BY_NAME[name]
    family, _, member = name.partition(".")
    known = (family == "failures" and member in CLASSES) or (family == "slo" and member in BY_NAME)
    return BY_NAME[family] if known else None


def misspelt(name: Sequence[str], scenarios: Collection[str]) -> str:
    """Say what is wrong with a dotted name of which a part is surely meant for something known; else ""."""
    first, *rest = name
    if rest and first not in scenarios and any(known_metric(metric) for _, metric, _ in readings(rest, ())):
        return f"{unknown('scenario', first, scenarios)} (of this run)"
    for _, metric, _ in readings(name, scenarios):
        front, _, last = metric.rpartition(".")  # `ttft.p42`: the last word alone is not known
        if front and last not in STATISTICS and known_metric(front) and not known_metric(metric):
            if front == "failures":
                return str(unknown("failure class", last, CLASSES))
            return str(unknown("statistic", last, STATISTICS))
    return ""
