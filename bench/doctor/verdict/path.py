"""Compare the simulator's send log with what arrived behind a gateway: what the path adds to each delta.

A gateway may merge events, write them anew, drop comments and change ids. The one thing that it passes on as it is is
the text, so a delta is known by where in the text it ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from bench.core.scenario import Api
from bench.doctor.clock import Offset
from bench.doctor.diagnosis import Check, Delay, Mode, State

Steps = Sequence[tuple[int, int]]
"""(ns, characters of the answer by then), ascending in both."""
_NS_PER_MS = 1e6
_UPSTREAM_1_1 = '`proxy_http_version 1.1;` and `proxy_set_header Connection "";`'


class TextMismatch(ValueError):
    """What arrived cannot be held against what was sent; the message says why."""


@dataclass(frozen=True, kw_only=True)
class UpstreamResponse:
    """One response as it left the simulator for the gateway; times are of the simulator's clock, in ns."""

    client_id: str | None = None
    t_received: int
    t_sent: Sequence[int]
    """The time of each frame; `types`, `chars` and `sizes` are of the same frames."""
    types: Sequence[str]
    chars: Sequence[int]
    sizes: Sequence[int]
    gone: int | None = None
    """When the gateway was seen to have left before the end."""
    fault: str | None = None
    done: bool = True
    method: str = "POST"
    path: str = ""
    http_version: str = "1.1"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def steps(self) -> Steps:
        """The steps of the frames that brought something of the answer."""
        reached = zip(self.t_sent, accumulate(self.chars), self.chars, strict=True)
        return [(time, end) for time, end, chars in reached if chars]

    @property
    def is_streamed(self) -> bool:
        """True where the gateway asked for a stream."""
        return "body" not in self.types


def delays(arrived: Steps, sent: Steps) -> list[int]:
    """Return for each delta that was sent how much later (ns) the read came that brought its last character.

    Raises `TextMismatch` where the texts differ in length.
    """
    ends = [end for _, end in arrived]
    if ends[-1:] != [end for _, end in sent[-1:]]:
        lengths = f"{sent[-1][1] if sent else 0} characters left the simulator and {ends[-1] if ends else 0} arrived"
        raise TextMismatch(f"the text was changed on the way: {lengths}")
    return [arrived[bisect_left(ends, end)][0] - time for time, end in sent]


def local_steps(response: UpstreamResponse, offset: Offset) -> Steps:
    """Return the steps of a response in this process' time."""
    return [(time - offset.ns, end) for time, end in response.steps]


def answer_delays(arrived: Steps, responses: Sequence[UpstreamResponse], offset: Offset) -> list[int]:
    """Return the delays (ns) of one answer. Of several responses, as after a retry, the last is the one that arrived.

    Raises `TextMismatch` if no response can be compared with the answer.
    """
    if not responses:
        raise TextMismatch("the simulator saw no such request: is it the upstream of this gateway?")
    if not responses[-1].is_streamed:
        raise TextMismatch("the gateway asked the simulator for the whole answer, not for a stream")
    return delays(arrived, local_steps(responses[-1], offset))


def path_delay(
    hop: str, api: Api, mode: Mode, answers: Sequence[tuple[Steps, Sequence[UpstreamResponse]]], offset: Offset
) -> Delay:
    """Measure what the path adds to the deltas of several answers: (arrived, the simulator's responses to it) each."""
    from bench.stats.intervals import quantile_ci  # noqa: PLC0415  (scipy: not in the measuring process)

    found, reasons = list[list[float]](), Counter[str]()
    for arrived, responses in answers:
        try:
            added_ms = [ns / _NS_PER_MS for ns in answer_delays(arrived, responses, offset)]
        except TextMismatch as reason:
            reasons[str(reason)] += 1
        else:
            found += [added_ms] if added_ms else []
    every = [ms for answer in found for ms in answer]
    p50, p90, p99 = (quantile_ci(every, q).value for q in (0.5, 0.9, 0.99))
    error = offset.error_ns / _NS_PER_MS
    return Delay(
        hop=hop,
        api=api,
        mode=mode,
        n=len(every),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        most_ms=max(every, default=None),
        error_ms=error,
        sentence=_sentence(p50, p90, every, [answer[0] for answer in found], error),
        note="; ".join(f"{count} of {len(answers)} answers not matched: {reason}" for reason, count in reasons.items()),
    )


def _sentence(
    p50: float | None, p90: float | None, every: Sequence[float], firsts: Sequence[float], error: float
) -> str:
    if not every:
        return "What the path adds is not known."
    parts = [(p50, "to a delta in the median"), (p90, "at p90"), (max(every), "at most")]
    said = ", ".join(f"{_number(value)} ms {which}" for value, which in parts if value is not None)
    low, high = _number(min(firsts)), _number(max(firsts))
    first = low if low == high else f"{low} to {high}"
    sure = f", all ± {_number(error)} ms for the offset of two clocks" if error else ""
    return f"The path adds {said} ({len(every)} deltas); to the first delta of an answer {first} ms{sure}."


def _number(ms: float) -> str:
    return f"{ms:.0f}" if abs(ms) >= 10 else f"{ms:.2g}"


def gateway_checks(hop: str, responses: Sequence[UpstreamResponse]) -> list[Check]:
    """Check how the gateway speaks to its upstream, by the simulator's log of questions that were asked streamed."""
    if not responses:
        return []
    versions = sorted({each.http_version for each in responses})
    closes = sum("close" in each.headers.get("connection", "").lower() for each in responses)
    whole = sum(not each.is_streamed and each.fault is None for each in responses)
    version = f"It speaks HTTP/{' and HTTP/'.join(versions)} to its upstream."
    old = (
        " An upstream that then answers without chunks, as the protocol asks, is held in buffers by nginx, a stream"
        " that was cut looks like one that has ended, and each request needs a new connection."
        f" In nginx: {_UPSTREAM_1_1}."
    )
    kept = "It does not ask its upstream to close the connection after an answer."
    closed = (
        f"It asks its upstream to close the connection after {closes} of {len(responses)} answers, so the next request"
        f" waits for a new one. In nginx: {_UPSTREAM_1_1}, and `keepalive 16;` in its `upstream`."
    )
    asks_whole = (
        f"It asks its upstream for the whole answer in {whole} of {len(responses)} requests, whatever the client asks."
    )
    found: list[tuple[str, State, str]] = []
    if "1.0" in versions:
        found.append(("HTTP version upstream", "bad", version + old))
    else:  # with 1.0 each connection is a new one, and that is said
        found.append(("HTTP version upstream", "good", version))
        found.append(("keep-alive upstream", "note" if closes else "good", closed if closes else kept))
    asked = asks_whole if whole else "It asks its upstream for a stream."
    found.append(("stream asked upstream", "bad" if whole else "good", asked))
    return [Check(hop=hop, name=name, state=state, said=said) for name, state, said in found]
