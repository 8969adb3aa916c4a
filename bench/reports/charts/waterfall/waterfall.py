"""Choose and draw how one real trial went: above what had come by when, below what the time went into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from bench.analysis.tables import RunFrames
from bench.core.results.summary import Cell, Summary
from bench.records.schema import VISIBLE_KINDS
from bench.reports.charts import style
from bench.reports.charts.chart import Chart, offered_trials
from bench.reports.charts.waterfall.bars import KINDS, MOST_SPANS
from bench.reports.charts.waterfall.drawing import axis_end, blocking_has_line, spec
from bench.reports.charts.waterfall.lanes import Lane, Tick, TrialPair, lanes
from bench.reports.charts.waterfall.reader import CHARS_A_WORD, WORDS_A_MINUTE, ReaderLine, cut_at, read_along
from bench.reports.charts.waterfall.typical_trials import typical_trials

COLUMNS = ["delivery", "status", "pair", "t_origin", "t_end", "stored"]
TITLES = {"median": "A typical request (median)", "p95": "A slow one (p95)", "worst": "The worst"}
READ = ("content", "refusal")
"""Kinds of delta that a person reads; tool arguments are not."""
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
"""Share of the height: a reader's line below this height is not drawn, as it would only follow the axis."""
HEADS = ("delivery", "attempt", "what", "from", "to", "characters so far")


class Waterfalls(NamedTuple):
    """The trials that stand for a cell, each drawn as one chart."""

    pairs: tuple[TrialPair, ...] = ()


def data(frames: RunFrames) -> Mapping[int, Waterfalls]:
    """Choose and read the typical trials of each cell, by its number."""
    typical = {number: typical_trials(mine) for number, mine in offered_trials(frames, COLUMNS)}
    ids = {id_ for some in typical.values() for one in some for id_ in (one.streamed, one.blocking) if id_ is not None}
    found = lanes(frames, ids)
    return {
        number: Waterfalls(
            tuple(
                TrialPair(one.which, found[one.streamed], None if one.blocking is None else found.get(one.blocking))
                for one in some
                if one.streamed in found
            )
        )
        for number, some in typical.items()
    }


def draw(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw each of the cell's typical trials."""
    known = summary.cell_data(cell, Waterfalls)
    yield from (_waterfall(pair, cell) for pair in (known.pairs if known else ()))


def _waterfall(pair: TrialPair, cell: Cell) -> Chart:
    lane = pair.streamed
    ticks = [tick for tick in lane.ticks if tick.kind in VISIBLE_KINDS] or lane.ticks  # reasoning where all is
    arrivals = _characters_by_time(ticks)
    text = _characters_by_time(tick for tick in lane.ticks if tick.kind in READ)
    read = read_along(text, lane.first_useful) if text and lane.first_useful is not None else None
    line = cut_at(read.points, axis_end(pair)) if read else []
    line = line if line and line[-1][1] >= LEAST_SEEN * arrivals[-1][1] else []
    caption = style.with_warning("".join(_caption(pair, drawn=bool(arrivals), read=bool(line))), cell)
    drawing = spec(pair, arrivals, ticks, line)
    words = " ".join(_words(pair, ticks, read))
    return style.with_table(TITLES[pair.which], caption, words, drawing, HEADS, list(_table(pair, arrivals)))


def _characters_by_time(ticks: Iterable[Tick]) -> list[tuple[float, float]]:
    """Return (ms, characters so far) for each tick."""
    ticks = list(ticks)
    return list(zip((tick.ms for tick in ticks), accumulate(tick.chars for tick in ticks), strict=True))


def _caption(pair: TrialPair, *, drawn: bool, read: bool) -> Iterator[str]:
    spans = max(len(lane.spans) for lane in pair.lanes)
    yield BOTH if pair.blocking else ALONE
    if drawn:
        known = pair.blocking and pair.blocking.chars
        yield ABOVE.format(blocking=(BLOCKING if known else ASSUMED) if blocking_has_line(pair) else "")
        yield (READER if read else "") + BELOW
    if spans > MOST_SPANS:
        yield SOME.format(spans)


def _words(pair: TrialPair, ticks: Sequence[Tick], read: ReaderLine | None) -> Iterator[str]:
    lane = pair.streamed
    stalls = sum(span.kind == "stall" for span in lane.spans)
    attempts = 1 + max((span.attempt for span in lane.spans), default=0)
    deltas = _plural(len(ticks), "delta") if len(ticks) <= EXACT else f"more than {EXACT} deltas"  # then merged
    yield (
        f"Streamed trial {lane.trial_id}: {_course(lane)}, {deltas} of "
        f"{_plural(sum(tick.chars for tick in ticks), 'character')}, {_plural(stalls, 'stall')}, "
        f"{_plural(attempts, 'attempt')}{_backoff(lane)}."
    )
    if pair.blocking:
        yield f"Blocking trial {pair.blocking.trial_id}: {_course(pair.blocking)}{_backoff(pair.blocking)}."
    if read and lane.first_useful is not None:
        first = style.time(lane.first_useful)
        more = f"then {style.time(read.waited)} for more" if read.waited else "then never again"
        yield f"Reading {WORDS_A_MINUTE} words a minute, one waits {first} for the first piece, {more}."


def _course(lane: Lane) -> str:
    connect = sum(span.end - span.start for span in lane.spans if span.kind in {"connect", "tls"})
    opened = [f"connecting took {style.time(connect)}"] if connect else []
    first = [] if lane.first_token is None else [f"first token after {style.time(lane.first_token)}"]
    end = "whole after" if lane.status == "ok" else f"ended as {lane.status} after"
    return ", ".join([*opened, *first, f"{end} {style.time(lane.total)}"])


def _backoff(lane: Lane) -> str:
    waits = [span.end - span.start for span in lane.spans if span.kind == "backoff"]
    return f", {style.time(sum(waits))} of back-off in {len(waits)}" if waits else ""


def _plural(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _table(pair: TrialPair, arrivals: Sequence[tuple[float, float]]) -> Iterator[style.Row]:
    """List the longest spans in their order, and how far the text had come at some deltas."""
    for lane in pair.lanes:
        longest = sorted(lane.spans, key=lambda span: span.start - span.end)[:MOST_TABLED]
        for span in sorted(longest, key=lambda span: (span.start, -span.end)):
            times = style.time(span.start), style.time(span.end)
            yield lane.delivery, str(span.attempt + 1), KINDS[span.kind], *times, ""
        if lane is pair.streamed:
            for place in style.evenly(len(arrivals), MOST_TABLED):
                ms, chars = arrivals[place]
                yield lane.delivery, "", f"delta {place + 1}", style.time(ms), "", f"{chars:.0f}"
