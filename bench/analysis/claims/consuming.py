"""Streaming takes constant memory, and blocking grows with the length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bench.analysis.claims.parts import HOLDS, REFUTED, UNDECIDED, Draft, make_claim, number, untestable
from bench.core.results.summary import Claim, ClaimPart, ClaimVerdict, MemoryCurve, Summary
from bench.plan.consumers import CONSUMERS, DISCARD, LARGEST_READ, NOTHING, TOKENS_PER_EVENT
from bench.stats import intervals
from bench.stats.intervals import Estimate
from bench.stats.slope import slope_beyond

LEAST_EPS = 2.0
"""Bytes per token that nobody would call growth."""
NULLS = 3
METER = "tracemalloc"
STATEMENT = "Streaming takes constant client memory, and blocking grows with the answer."
TEST = (
    f"Peak of Python's own blocks (tracemalloc) by answer length, on the simulator, {TOKENS_PER_EVENT} tokens an "
    f"event, read by at most {LARGEST_READ // 1024} KiB at once: asyncio by itself asks for 256 KiB, which hides all "
    "below. Theil-Sen slope with Sen's interval; eps is the larger of 2 bytes a token and three times the slope of a "
    "reader that keeps nothing. Streamed HOLDS: the interval lies within ±eps; REFUTED: above. Blocking HOLDS: above "
    "eps; REFUTED: within ±eps. Kendall's test against eps, Holm over the parts."
)
Way = tuple[str, str]
"""Scenario and delivery."""


def claim(summary: Summary) -> Claim:
    """Judge each way of consuming, and blocking."""
    return claim_from_curves({(c.scenario, c.delivery): c for c in summary.memory if c.meter == METER})


def claim_from_curves(found: Mapping[Way, MemoryCurve]) -> Claim:
    """Judge the ways of consuming by their memory curves; other curves are passed over."""
    curves = {way: curve for way, curve in found.items() if way[0] in CONSUMERS}
    if not curves:
        why = "no memory pass of the ways of consuming: bench run makes one from 10 pairs on, but not with --no-memory"
        return make_claim("memory", STATEMENT, TEST, [untestable("memory", why)])
    null = _slope(curves[NOTHING, "streamed"]).value if (NOTHING, "streamed") in curves else None
    eps = max(LEAST_EPS, NULLS * abs(null or 0))
    ways = [*((name, "streamed") for name in CONSUMERS if name != NOTHING), (DISCARD, "blocking")]
    drafts = [_part(way, curves.get(way), eps, curves) for way in ways]
    return make_claim("memory", STATEMENT, TEST, drafts)


def _slope(curve: MemoryCurve) -> Estimate:
    tokens, peaks = zip(*curve.points, strict=True) if curve.points else ((), ())
    return intervals.theil_sen(np.array(tokens, float), np.array(peaks, float))[0]


def _part(way: Way, curve: MemoryCurve | None, eps: float, curves: dict[Way, MemoryCurve]) -> Draft:
    name, delivery = way
    subject = "blocking" if delivery == "blocking" else f"streamed, {name.strip('()')}"
    if curve is None or not curve.points:
        return untestable(subject, "it was not measured: the memory pass had no time for it")
    slope = _slope(curve)
    tokens, peaks = (np.array(values, float) for values in zip(*curve.points, strict=True))
    where, p = slope_beyond(tokens, peaks, slope, eps)
    verdict = _verdict(where, delivery)
    words = "the whole answer is parsed" if delivery == "blocking" else CONSUMERS[name]
    reason = "; ".join([_slope_words(where, slope, eps), *_blocking_words(curve, curves), words])
    return Draft(ClaimPart(subject, verdict, _text(slope), len(peaks), reason), p if where else None)


def _verdict(where: str, delivery: str) -> ClaimVerdict:
    expected = "above" if delivery == "blocking" else "within"
    if not where:
        return UNDECIDED
    return HOLDS if where == expected or (where == "below" and delivery == "streamed") else REFUTED


def _text(slope: Estimate) -> str:
    if slope.value is None or slope.low is None or slope.high is None:
        return ""
    return f"{number(slope.value)} bytes/token [{number(slope.low)}, {number(slope.high)}]"


def _slope_words(where: str, slope: Estimate, eps: float) -> str:
    if slope.value is None:
        return slope.note
    limit = f"{number(eps)} bytes/token"
    words = {
        "above": f"it grows by over {limit}",
        "within": f"it does not grow by over {limit}",
        "below": f"it falls by over {limit}",
    }
    return words.get(where, f"whether it grows by over {limit} cannot be told")


def _blocking_words(curve: MemoryCurve, curves: dict[Way, MemoryCurve]) -> Iterator[str]:
    """Say what the blocking call takes at the same length: a stream may take more."""
    blocking = curves.get((DISCARD, "blocking"))
    if curve.delivery == "blocking" or blocking is None:
        return
    both = dict(curve.points).keys() & dict(blocking.points).keys()
    if both:
        tokens = max(both)
        streamed, whole = (dict(one.points)[tokens] / 1000 for one in (curve, blocking))
        yield f"at {tokens:,} tokens {streamed:,.0f} kB, blocking {whole:,.0f} kB"
        if curve.scenario == DISCARD:
            yield "the last events of a stream of the Responses API repeat the whole answer"
