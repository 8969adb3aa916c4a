"""A verdict with the evidence for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.doctor.diagnosis import Verdict
from bench.doctor.verdict.bursts import Nature, Pattern, Shape


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict and what it rests on."""

    verdict: Verdict
    because: str = ""
    """The reason of a verdict that does not follow from times, as a clause."""
    answers: int
    """How many answers were asked for."""
    agree: int = 0
    """How many of the answers that could tell say so."""
    telling: int = 0
    """Answers that could tell."""
    one_piece: bool = False
    """Fake: in a single event or lump; else replayed at a pace."""
    headers_late: bool = False
    first_ms: float | None = None
    """Medians over the longest answers."""
    whole_ms: float | None = None
    gap_ms: float | None = None
    """Mean time between deltas, median over answers."""
    deltas: int = 0
    shape: Shape | None = None
    """The longest answer's."""
    nature: Nature = "unknown"
    """What ends a lump, by the pattern; all answers of a hop together may show it better."""
    pattern: Pattern | None = None
    first_burst: int = 0
    """Deltas that came with the first one, median."""
    gaps_ms: Sequence[float] = ()
    """Between the deltas of a longest answer, sorted; deltas of one read have none."""
    reads_per_delta: float | None = None
    headers_ms: float | None = None
    first_byte_ms: float | None = None
    firsts: Sequence[tuple[int, float]] = ()
    """(Cap on the length in tokens, median time of the first piece), by length."""
    scatter_ms: float = 0.0
    """The most by which the first pieces of one length differ from round to round."""
    window_ms: float = 0.0
    """The time from the first delta to the last, median over the longest answers."""
    could_be_ms: float | None = None
    """Fake: the first piece's time in an answer without length, by the line through all of them."""
    resolution_ms: float = 0.0

    @property
    def itl_ms(self) -> float | None:
        """The median gap, which a load tool would call the inter-token latency."""
        return median(self.gaps_ms) if self.gaps_ms else None
