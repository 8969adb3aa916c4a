"""What each metric is called and what it means. `docs/metrics.md` is made here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric of the reports: the registry below is also the glossary."""

    name: str
    unit: str
    formula: str
    better: Literal["lower", "higher", "neither"] = "lower"
    of: Literal["offered", "ok", "pairs", "cell", "memory"] = "ok"
    """What its numbers are taken over. `offered`: a failure counts as +∞."""
    deliveries: tuple[str, ...] = ("streamed", "blocking")


STREAMED = ("streamed",)
PAIRED = ("paired",)
METRICS = (
    Metric(
        "ttft",
        "ms",
        "First content, reasoning, refusal or tool-argument delta of any attempt - origin.",
        of="offered",
        deliveries=STREAMED,
    ),
    Metric(
        "ttft_visible",
        "ms",
        "The same without reasoning: first token a user may see - origin.",
        of="offered",
        deliveries=STREAMED,
    ),
    Metric(
        "ttfu",
        "ms",
        "First useful piece at the caller (each scenario says what is useful) - origin. Blocking: the whole "
        "parsed answer - origin. An ok answer without a useful piece is +∞.",
        of="offered",
    ),
    Metric(
        "first_event",
        "ms",
        "First SSE data event of any kind - origin; pings are no events.",
        of="offered",
        deliveries=STREAMED,
    ),
    Metric(
        "total",
        "ms",
        "The scenario's function was through - origin, failed attempts and back-off included.",
        of="offered",
    ),
    Metric(
        "gap",
        "ms",
        "Time between two successive non-empty deltas of one attempt, over all gaps of all ok trials.",
        deliveries=STREAMED,
    ),
    Metric(
        "piece_gap",
        "ms",
        "Time between two successive pieces at the caller, over all gaps of all ok trials; between the requests of "
        "a trial too.",
        deliveries=STREAMED,
    ),
    Metric(
        "itl",
        "ms",
        "The same, but only when every ok trial of the cell had as many output tokens as deltas: then a gap "
        "is the time of one token.",
        deliveries=STREAMED,
    ),
    Metric(
        "tpot",
        "ms/token",
        "(Last token - first token) / (output tokens - 1): the first delta is counted as one token, which is "
        "exact only when tokens = deltas. None if all came in one read.",
        deliveries=STREAMED,
    ),
    Metric(
        "stall_share",
        "share",
        "Σ (gap - median gap) over stalled gaps / (last token - first token); stalled: over 200 ms, or over "
        "50 ms and five times the trial's median gap.",
        deliveries=STREAMED,
    ),
    Metric(
        "stalls",
        "",
        "Number of stalled gaps.",
        deliveries=STREAMED,
    ),
    Metric(
        "tokens_per_s",
        "tokens/s",
        "Output tokens by usage / total, per trial.",
        better="higher",
    ),
    Metric(
        "input_tokens",
        "tokens",
        "usage.input_tokens, summed over ok trials.",
        better="neither",
    ),
    Metric(
        "cached_tokens",
        "tokens",
        "usage.input_tokens_details.cached_tokens, summed over ok trials.",
        better="neither",
    ),
    Metric(
        "output_tokens",
        "tokens",
        "usage.output_tokens (reasoning inside), summed over ok trials.",
        better="neither",
    ),
    Metric(
        "attempts",
        "",
        "HTTP tries, hidden retries of the SDK included, summed over all trials that ended.",
    ),
    Metric(
        "backoff",
        "ms",
        "Time waited between the attempts of one request, summed over all trials that ended.",
    ),
    Metric(
        "failures",
        "",
        "Offered trials that did not end ok: their number, their share (with an exact interval), and as "
        "`failures.CLASS` the number of each class.",
        of="offered",
    ),
    Metric(
        "cpu_per_event",
        "ms/event",
        "CPU time of the client process / SSE events read: the ratio of the sums, and the median trial's ratio. At "
        "c=1 of the streamed trials alone; above, of all measured trials of the cell (no median).",
        of="cell",
        deliveries=STREAMED,
    ),
    Metric(
        "read_lag",
        "ms",
        "Socket read that completed the first token's event - the simulator's own send time of that frame "
        "(one clock): what this instrument adds.",
        deliveries=STREAMED,
    ),
    Metric(
        "gain",
        "ms, ratio",
        "Seen sooner by: blocking total - streamed TTFU, Hodges-Lehmann over pairs; as a ratio 1 - TTFU / "
        "blocking total, on the log scale.",
        better="higher",
        of="pairs",
        deliveries=PAIRED,
    ),
    Metric(
        "overhead",
        "ms, ratio",
        "Streamed total - blocking total, Hodges-Lehmann over pairs; as a ratio streamed / blocking - 1, on "
        "the log scale.",
        of="pairs",
        deliveries=PAIRED,
    ),
    Metric(
        "memory_peak",
        "bytes",
        "Peak of Python's own blocks (tracemalloc) during a call above the base before it, median at the "
        "longest length, on the simulator.",
        of="memory",
    ),
    Metric(
        "memory_slope",
        "bytes/token",
        "Theil-Sen slope of that peak over the output length.",
        of="memory",
    ),
    Metric(
        "memory_peak.rss",
        "bytes",
        "The same for the resident size of the process.",
        of="memory",
    ),
    Metric(
        "memory_slope.rss",
        "bytes/token",
        "Theil-Sen slope of the resident size over the output length.",
        of="memory",
    ),
    Metric(
        "floor_ttft",
        "ms",
        "Calibration: read of the first token's event - the simulator's send of it. As all floors, what the instrument "
        "itself adds, by load; never subtracted.",
        deliveries=STREAMED,
    ),
    Metric(
        "floor_ttfu",
        "ms",
        "Calibration: first useful piece at the caller - the simulator's send of its event.",
        deliveries=STREAMED,
    ),
    Metric(
        "floor_gap",
        "ms",
        "Calibration: gap between two successive deltas as read - as sent, without its sign, over all gaps of all ok "
        "trials.",
        deliveries=STREAMED,
    ),
    Metric(
        "floor_total",
        "ms",
        "Calibration: the scenario's function was through - the simulator's send of the terminal event, or of the "
        "blocking body.",
    ),
    Metric(
        "floor_cpu_per_event",
        "ms/event",
        "Calibration: CPU time of the client process / SSE events, by trial. Above c=1 only the mean of the whole "
        "process is known, blocking trials included.",
        deliveries=STREAMED,
    ),
    Metric(
        "stall_ms",
        "ms",
        "Σ (gap - median gap) over stalled gaps: what the pauses cost a trial; 0 where no gap is stalled.",
        deliveries=STREAMED,
    ),
    Metric(
        "loop_lag",
        "ms",
        "For how long the client's event loop kept a trial waiting: lateness of a heartbeat due every 10 ms, "
        "those missed in a long pause counted. Idle loops are 1-2 ms late.",
        of="cell",
        deliveries=PAIRED,
    ),
    Metric(
        "send_lag",
        "ms",
        "Last byte of the request written - request handed to the transport, on connections that were open.",
        of="cell",
        deliveries=PAIRED,
    ),
    Metric(
        "cpu_share",
        "share",
        "CPU time of the client process / wall time, while the cell's trials ran; 1 is a whole CPU.",
        of="cell",
        deliveries=PAIRED,
    ),
    Metric(
        "gc_pause",
        "ms",
        "Pauses of Python's garbage collector over 1 ms while the cell's trials ran, summed; n counts pauses.",
        of="cell",
        deliveries=PAIRED,
    ),
    Metric(
        "aa",
        "ratio",
        "A/A pairs, in which both trials are of the same delivery: total of arm a / total of arm b - 1, Hodges-Lehmann "
        "on the log scale, by cell and of all cells together. Under load each two segments are one difference.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
    ),
    Metric(
        "aa_ttfu",
        "ratio",
        "The same of the first useful output, of the streamed A/A pairs of all cells together.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
    ),
    Metric(
        "trend",
        "ratio",
        "By what fraction the total changed from the start of the run to its end: Theil-Sen slope of log(total) minus "
        "its median in the same cell and delivery, over the run's time as 0 to 1, by cell and of all cells together.",
        better="neither",
        deliveries=("streamed", "blocking", "paired"),
    ),
    Metric(
        "order_effect",
        "ratio",
        "By what fraction the second trial of a pair takes longer than it would as the first: half of the shift "
        "(Hodges-Lehmann, Mann-Whitney) of log(streamed total / blocking total) between the two orders.",
        better="neither",
        of="pairs",
        deliveries=PAIRED,
    ),
    Metric(
        "warm_share",
        "share",
        "First attempts over a connection that had carried a request before / all first attempts over HTTP.",
        better="neither",
        of="cell",
    ),
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
    ),
    Metric(
        "output_tokens_per_s",
        "tokens/s",
        "Output tokens by usage of the same trials / the same time; never a sum of the rates of single answers.",
        better="higher",
        of="cell",
    ),
    Metric(
        "good_per_s",
        "/s",
        "As `requests_per_s`, of the trials that kept to every limit of `--slo`.",
        better="higher",
        of="cell",
    ),
    Metric(
        "goodput",
        "share",
        "Offered trials that ended ok and kept to every limit of `--slo` that the delivery has, with an exact "
        "interval; failed, shed and lost ones did not, nor one without the metric.",
        better="higher",
        of="cell",
    ),
    Metric(
        "slo",
        "share",
        "As `slo.METRIC` the same for one limit. `itl` is held against a trial's mean gap, (last - first delta) / "
        "(deltas - 1), the others against the trial's own number.",
        better="higher",
        of="cell",
    ),
    Metric(
        "offered_rate",
        "/s",
        "Open loop: starts that the schedule wanted inside the steady window / their time.",
        better="neither",
        of="cell",
    ),
    Metric(
        "start_rate",
        "/s",
        "Of the trials that were to begin inside the steady window, those begun / the time until the last of them "
        "was: below `offered_rate` where trials were shed or the client fell behind.",
        better="higher",
        of="cell",
    ),
    Metric(
        "in_flight",
        "count, /s",
        "Trials begun and not ended: their integral over the steady window / its length. Open loop: as slope by how "
        "many they grow in a second (Theil-Sen over 24 parts of each window).",
        better="neither",
        of="cell",
    ),
    Metric(
        "start_lag",
        "ms",
        "Under load: last byte of a trial's first request written - origin, a new connection included; in open loop "
        "since the intended time.",
        of="cell",
    ),
    Metric(
        "knee",
        "count, /s",
        "The highest load at which, and at each lower one, at least 90 % of the offered trials keep to every limit of "
        "`--slo` (exact one-sided 99 % bound). Closed loop: trials at a time; open loop: starts a second.",
        better="higher",
        of="cell",
    ),
    Metric(
        "sdk_ttft",
        "ms",
        "What the SDK adds: TTFT of the cell of client `sdk` - that of client `wire`, Hodges-Lehmann over the ok "
        "trials of both, unpaired (Mann-Whitney interval).",
        of="cell",
        deliveries=STREAMED,
    ),
    Metric("sdk_ttfu", "ms", "The same for the first useful piece.", of="cell"),
    Metric("sdk_total", "ms", "The same for the total.", of="cell"),
    Metric(
        "sdk_cpu_per_event",
        "ms/event",
        "The same for `cpu_per_event`: of `wire` it is the process that reads, for that is what its stamps wait for.",
        of="cell",
        deliveries=STREAMED,
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
LATENCIES = ("ttft", "ttft_visible", "ttfu", "first_event", "total")
PACES = ("tpot", "stall_share", "stall_ms", "tokens_per_s")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
NO_DIFFERENCE = "n/a (the client was late)"
"""Note of what the SDK adds, where one of the two clients was late."""
LEAST_GOOD = 0.9
"""Of the offered trials, so large a share must keep to every limit for a load to pass."""
FLAG = "0 or 1"
"""The unit of a recorded no or yes: beside its quantiles it has the share of yes, as a median would hide the few."""
SUMS = ("stalls", "input_tokens", "cached_tokens", "output_tokens")


def glossary_markdown() -> str:
    """`docs/metrics.md`: every metric with its unit, what is better, and its formula."""
    lines = [f"| `{m.name}` | {m.unit or 'count'} | {m.better} | {m.formula} |" for m in METRICS]
    return "\n".join([_GLOSSARY_HEAD, *lines, ""])


_GLOSSARY_HEAD = """# Metrics

Durations count from the trial's origin, just before the scenario's function was entered. Latency quantiles are of all
offered trials, a failure being +∞; an ok trial without the mark is left out, which the report says, but in `ttfu` it is
+∞ too. Other metrics are of the trials that were ok. Deltas are never called tokens: tokens come from the server's
usage. A quantile needs 6 (p50), 36 (p90), 72 (p95) or 368 (p99) samples for a 95 % interval; with fewer it is not
printed. What a plugin records appears under its own name, a mark as `mark.NAME`.

| metric | unit | better | formula |
| --- | --- | --- | --- |"""
DIGITS = 8


def definitions() -> dict[str, str]:
    """By metric, a hash of its unit, its formula, and what it is taken over."""
    texts = {metric.name: "\n".join((metric.unit, metric.formula, metric.of)) for metric in METRICS}
    return {name: sha256(text.encode()).hexdigest()[:DIGITS] for name, text in texts.items()}
