"""How one real trial went: above what had come by when, below what the time went into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.core.chart_data import Lane, Tick, Waterfall
from bench.core.summary import Cell
from bench.records.schema import VISIBLE_KINDS
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.charts.reader import CHARS_A_WORD, WORDS_A_MINUTE, Reading, reading, until
from bench.reports.charts.waterfall_bars import KINDS, MOST_SPANS
from bench.reports.charts.waterfall_spec import span_of, spec, whole_at_once

TITLES = {"median": "A typical request (median)", "p95": "A slow one (p95)", "worst": "The worst"}
READ = ("content", "refusal")
MOST_TABLED, EXACT = 25, 1000
ALONE, BOTH = "One streamed trial.", "One streamed trial and the blocking one of its pair, on one axis."
ABOVE = " Above: characters that had come{blocking}."
BLOCKING = "; the dashed line is the blocking answer, there all at once"
ASSUMED = BLOCKING + ", drawn as long as the streamed one"
BELOW = " Below: what the time went into; the small strokes are the deltas. A stream's first events hold no token."
SOME = " Of {} stretches the longest are drawn."
READER = (
    f" The dotted line reads along from the first useful piece on, {WORDS_A_MINUTE} words a minute (Brysbaert 2019) "
    f"at {CHARS_A_WORD} characters a word."
)
LEAST_SEEN = 0.05
"""Of the height: a reader who is below that is not drawn, being no more than a line along the axis."""


def waterfall(one: Waterfall, cell: Cell) -> Chart:
    """The picture of one pair."""
    ticks = shown(one.streamed.ticks)
    arrivals = list(_so_far(ticks))
    read = _reading(one.streamed)
    line = _line(one, read)
    caption = style.believed("".join(_caption(one, drawn=bool(arrivals), read=bool(line))), cell)
    heads = ("delivery", "attempt", "what", "from", "to", "characters so far")
    words = " ".join(_words(one, ticks, read))
    drawn = spec(one, arrivals, ticks, line)
    return style.with_table(TITLES[one.which], caption, words, drawn, heads, list(_table(one, arrivals)))


def _caption(one: Waterfall, *, drawn: bool, read: bool) -> Iterator[str]:
    spans = max(len(lane.spans) for lane in (one.streamed, one.blocking) if lane)
    yield BOTH if one.blocking else ALONE
    if drawn:
        known = one.blocking and one.blocking.chars
        yield ABOVE.format(blocking=(BLOCKING if known else ASSUMED) if whole_at_once(one) else "")
        yield (READER if read else "") + BELOW
    if spans > MOST_SPANS:
        yield SOME.format(spans)


def shown(ticks: Sequence[Tick]) -> list[Tick]:
    """The deltas without reasoning; or all, where there is nothing else."""
    return [tick for tick in ticks if tick.kind in VISIBLE_KINDS] or list(ticks)


def _reading(lane: Lane) -> Reading | None:
    """Of what a person reads: no tool arguments. None where nothing is, or nothing useful came."""
    text = list(_so_far([tick for tick in lane.ticks if tick.kind in READ]))
    return reading(text, lane.first_useful) if text and lane.first_useful is not None else None


def _line(one: Waterfall, read: Reading | None) -> list[tuple[float, float]]:
    """How far the reader is, up to the end of the picture; empty where that could not be seen."""
    if read is None:
        return []
    points = until(read.points, span_of(one))
    most = sum(tick.chars for tick in shown(one.streamed.ticks))
    return points if points and points[-1][1] >= LEAST_SEEN * most else []


def _so_far(ticks: Sequence[Tick]) -> Iterator[tuple[float, float]]:
    total = 0
    for tick in ticks:
        total += tick.chars
        yield tick.ms, total


def _words(one: Waterfall, ticks: Sequence[Tick], read: Reading | None) -> Iterator[str]:
    lane = one.streamed
    stalls, attempts = _count(lane, "stall"), 1 + max((span.attempt for span in lane.spans), default=0)
    yield (
        f"Streamed trial {lane.trial_id}: {_told(lane)}, {_deltas(len(ticks))} of "
        f"{_plural(sum(tick.chars for tick in ticks), 'character')}, {_plural(stalls, 'stall')}, "
        f"{_plural(attempts, 'attempt')}{_backoff(lane)}."
    )
    if one.blocking:
        yield f"Blocking trial {one.blocking.trial_id}: {_told(one.blocking)}{_backoff(one.blocking)}."
    if read and lane.first_useful is not None:
        first = style.time(lane.first_useful)
        more = f"then {style.time(read.waited)} for more" if read.waited else "then never again"
        yield f"Reading {WORDS_A_MINUTE} words a minute, one waits {first} for the first piece, {more}."


def _deltas(n: int) -> str:
    """Of very many, neighbours were drawn as one."""
    return _plural(n, "delta") if n <= EXACT else f"more than {EXACT} deltas"


def _told(lane: Lane) -> str:
    connect = sum(span.end - span.start for span in lane.spans if span.kind in {"connect", "tls"})
    opened = [f"connecting took {style.time(connect)}"] if connect else []
    first = [] if lane.first_token is None else [f"first token after {style.time(lane.first_token)}"]
    end = "whole after" if lane.status == "ok" else f"ended as {lane.status} after"
    return ", ".join([*opened, *first, f"{end} {style.time(lane.total)}"])


def _backoff(lane: Lane) -> str:
    waits = [span.end - span.start for span in lane.spans if span.kind == "backoff"]
    return f", {style.time(sum(waits))} of back-off in {len(waits)}" if waits else ""


def _count(lane: Lane, kind: str) -> int:
    return sum(span.kind == kind for span in lane.spans)


def _plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _table(one: Waterfall, arrivals: Sequence[tuple[float, float]]) -> Iterator[style.Row]:
    """The longest spans in their order, and how far the text had come at some deltas."""
    for lane in filter(None, (one.streamed, one.blocking)):
        longest = sorted(lane.spans, key=lambda span: span.start - span.end)[:MOST_TABLED]
        for span in sorted(longest, key=lambda span: (span.start, -span.end)):
            times = style.time(span.start), style.time(span.end)
            yield lane.delivery, str(span.attempt + 1), KINDS[span.kind], *times, ""
        if lane is one.streamed:
            for place in style.evenly(len(arrivals), MOST_TABLED):
                ms, chars = arrivals[place]
                yield lane.delivery, "", f"delta {place + 1}", style.time(ms), "", f"{chars:.0f}"
