"""What a server does under load: how much in a second, how much of it well, and how long the queue is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import Metric, ReportPlace

if TYPE_CHECKING:
    from bench.analysis.load.arm import LoadArm
    from bench.core.results.row import Row


def _tokens_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    if load.has_tokens and not load.is_mixed:
        yield load.rate(metric.name, load.tokens)


def _good_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    if load.kept_limits and not load.is_mixed:
        yield load.rate(metric.name, load.good)


def _limit_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    """Make the share of the offered that kept to each limit."""
    for name, kept in load.kept_limits.items():
        yield load.arm.share(f"{metric.name}.{name}", int(kept.sum()), len(kept))


def _goodput_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    """Make the share of the offered that kept to all limits."""
    n, arm = len(load.arm.trials), load.arm
    held = [slo.text for slo in load.slos if slo.metric in load.kept_limits]
    other = ", ".join(slo.text for slo in load.slos if slo.metric not in load.kept_limits)
    if held:
        note = "; ".join(filter(None, (" and ".join(held), other and f"{other} is not of {arm.delivery} answers")))
        yield arm.share(metric.name, int(load.good(arm).sum()), n, note=note)
    elif load.slos:
        yield arm.absent(metric.name, f"n/a ({other}: not of {arm.delivery} answers)", "share", n)


def _offered_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    if load.segments is not None and load.level.open_loop:
        yield load.window_row(metric.name, load.start_rates[0], f"asked for: {load.level.rate:g} a second")


def _start_rate_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    if load.segments is not None:
        yield load.window_row(metric.name, load.start_rates[1])


def _flight_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    if load.segments is not None:
        mean, slope = load.in_flight
        n = len(load.arm.trials)
        yield load.arm.row(metric.name, "rate", mean, n, note=load.windows_note)
        if load.level.open_loop:
            yield load.arm.row(metric.name, "slope", slope, n, unit="/s", note=load.windows_note)


def _start_lag_rows(metric: Metric, load: LoadArm) -> Iterator[Row]:
    """Make the quantiles of how late the first request of each trial left."""
    if load.segments is not None:
        since = "since the intended time" if load.level.open_loop else ""
        yield from load.arm.quantiles(metric.name, load.start_lags, since)


METRICS = (
    Metric(
        "requests_per_s",
        "/s",
        "Under load, in open loop: trials that ended ok inside the steady window / its length. In closed loop: ok "
        "trials / the time that trials took x how many are in flight in the steady window; one at a time that is one. "
        "The window of a segment begins when as many run as were asked for (open loop: nine of ten of the first "
        "quarter's time behind the first start after the ramp, at most half of the segment) and ends with the last "
        "start.",
        better="higher",
        of="cell",
        load_rows=lambda metric, load: [load.rate(metric.name, load.requests)],
        csv_order=2,
        compared=("rate",),
        places=(ReportPlace("loads", 5, "ok", "per s", delivery="", statistic="rate"),),
    ),
    Metric(
        "output_tokens_per_s",
        "tokens/s",
        "Output tokens by usage of the same trials / the same time; never a sum of the rates of single answers.",
        better="higher",
        of="cell",
        load_rows=_tokens_rows,
        csv_order=2,
        places=(ReportPlace("loads", 6, "tokens", "per s", delivery="", statistic="rate"),),
    ),
    Metric(
        "good_per_s",
        "/s",
        "As `requests_per_s`, of the trials that kept to every limit of `--slo`.",
        better="higher",
        of="cell",
        load_rows=_good_rows,
        csv_order=2,
    ),
    Metric(
        "goodput",
        "share",
        "Offered trials that ended ok and kept to every limit of `--slo` that the delivery has, with an exact "
        "interval; failed, shed and lost ones did not, nor one without the metric.",
        better="higher",
        of="cell",
        load_rows=_goodput_rows,
        csv_order=1,
        compared=("share",),
        places=(ReportPlace("loads", 7, "good", delivery="", statistic="share"),),
    ),
    Metric(
        "slo",
        "share",
        "As `slo.METRIC` the same for one limit. `itl` is held against a trial's mean gap, (last - first delta) / "
        "(deltas - 1), the others against the trial's own number.",
        better="higher",
        of="cell",
        load_rows=_limit_rows,
        csv_order=0,
        members=True,
    ),
    Metric(
        "offered_rate",
        "/s",
        "Open loop: starts that the schedule wanted inside the steady window / their time.",
        better="neither",
        of="cell",
        load_rows=_offered_rows,
        csv_order=4,
    ),
    Metric(
        "start_rate",
        "/s",
        "Of the trials that were to begin inside the steady window, those begun / the time until the last of them "
        "was: below `offered_rate` where trials were shed or the client fell behind.",
        better="higher",
        of="cell",
        load_rows=_start_rate_rows,
        csv_order=4,
    ),
    Metric(
        "in_flight",
        "count, /s",
        "Trials begun and not ended: their integral over the steady window / its length. Open loop: as slope by how "
        "many they grow in a second (Theil-Sen over 24 parts of each window).",
        better="neither",
        of="cell",
        load_rows=_flight_rows,
        csv_order=3,
    ),
    Metric(
        "start_lag",
        "ms",
        "Under load: last byte of a trial's first request written - origin, a new connection included; in open loop "
        "since the intended time.",
        of="cell",
        load_rows=_start_lag_rows,
        csv_order=5,
    ),
    Metric(  # `bench.analysis.load.knee` gives its rows: it takes all loads of a sweep
        "knee",
        "count, /s",
        "The highest load at which, and at each lower one, at least 90 % of the offered trials keep to every limit of "
        "`--slo` (exact one-sided 99 % bound). Closed loop: trials at a time; open loop: starts a second.",
        better="higher",
        of="cell",
    ),
)
