"""The simulator behind the hops: its side of each answer, and what only it can see of a cancel and a refusal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.core.scenario import Api
from bench.doctor.clock import Offset, joined
from bench.doctor.diagnosis import NAMES, Added, Check, State
from bench.doctor.probe.send import Line
from bench.doctor.probe.source import Source, simulator_at
from bench.doctor.requests import FEWEST, PATHS, Asked, Manner, body_of, new_nonce
from bench.doctor.verdict.path import Upstream, added, seen_upstream
from bench.doctor.verdict.reading import Reading, read_answer

LEAVES_AFTER = 0.4
"""Share of the time that such an answer took before, after which a cancelling client goes."""
RETRY_AFTER_S = 2
_LIMITED = {"tokens": FEWEST, "faults": [f"429:{RETRY_AFTER_S}=1"]}


@dataclass(frozen=True)
class Cancel:
    """A client that left, and what the simulator saw of that."""

    hop: int
    api: Api
    left_ns: int
    """By this process' clock."""
    left: bool
    """The answer had not ended before."""
    upstream: Sequence[Upstream]


@dataclass
class Behind:
    """Filled answer by answer."""

    url: str
    source: Source
    before: Offset
    after: Offset | None = None
    upstream: dict[str, Sequence[Upstream]] = field(default_factory=dict)
    """By the nonce of the question."""
    cancels: list[Cancel] = field(default_factory=list)
    limited: list[Reading] = field(default_factory=list)

    async def note(self, nonce: str) -> None:
        """Keep its side of an answer that has just arrived."""
        self.upstream[nonce] = await self.source.sent(nonce)

    async def probe(self, hop: int, answers: Sequence[Reading], manner: Manner, line: Line) -> int:
        """Leave an answer of each API early, and be refused one; how many requests that took.

        `answers`: the longest text of each API that was read before, of this hop.
        """
        for one in answers:
            nonce = new_nonce()
            seconds = LEAVES_AFTER * one.end_ms / 1e3
            attempt = await line.send(PATHS[one.asked.api], body_of(one.asked, manner, nonce), leave_after_s=seconds)
            upstream = await self.source.sent(nonce)
            self.cancels.append(Cancel(hop, one.asked.api, attempt.t_end or 0, attempt.closed_early, upstream))
        if not answers:
            return 0
        request = Asked(answers[0].asked.api, "text", FEWEST, 0)
        body = body_of(request, manner, nonce := new_nonce()) | {"metadata": {"bench": json.dumps(_LIMITED)}}
        self.limited.append(read_answer(await line.send(PATHS[request.api], body), request, hop=hop, nonce=nonce))
        return len(answers) + 1

    async def finish(self) -> None:
        """Look at the clocks once more."""
        self.after = await self.source.offset()

    @property
    def offset(self) -> Offset:
        """Of the clocks, over the whole examination."""
        return joined(self.before, self.after or self.before)


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Behind]:
    """The simulator with that base URL. Raises `BenchError` where there is none."""
    async with simulator_at(url) as source:
        yield Behind(url, source, await source.offset())


def paths(behind: Behind, hop: int, name: str, readings: Sequence[Reading]) -> Iterator[Added]:
    """What the way to this hop adds, by API and mode."""
    kinds = dict.fromkeys((one.asked.api, one.asked.mode) for one in readings if one.hop == hop)
    for api, mode in kinds:
        mine = [one for one in readings if (one.hop, one.asked.api, one.asked.mode) == (hop, api, mode) and one.whole]
        answers = [(one.arrivals, behind.upstream.get(one.nonce, ())) for one in mine]
        if answers:
            yield added(name, api, mode, answers, behind.offset)


def seen_behind(behind: Behind, hop: int, name: str, readings: Sequence[Reading]) -> list[Check]:
    """What only the simulator could see."""
    nonces = [one.nonce for one in readings if one.hop == hop]
    responses = [response for nonce in nonces for response in behind.upstream.get(nonce, ())]
    refused = [one for one in behind.limited if one.hop == hop]
    cancels = [one for one in behind.cancels if one.hop == hop]
    found = seen_upstream(name, responses)
    found += [_retry_headers(name, refused[0])] if refused else []
    return found + ([_cancel(name, cancels, behind.offset)] if cancels else [])


def _retry_headers(name: str, reading: Reading) -> Check:
    check = "retry headers"
    if reading.status != 429:
        said = f"The simulator was asked for a 429 and the answer was {reading.status}: this path drops metadata."
        return Check(hop=name, name=check, state="unknown", said=said)
    after = reading.headers.get("retry-after")
    if after == str(RETRY_AFTER_S):
        return Check(hop=name, name=check, state="good", said="A 429 comes through with its Retry-After.")
    said = f"A 429 comes through, its Retry-After of {RETRY_AFTER_S} s is {f'now {after}' if after else 'lost'}."
    return Check(hop=name, name=check, state="bad", said=said)


def _cancel(name: str, cancels: Sequence[Cancel], offset: Offset) -> Check:
    """How long the server went on for a client that had left."""
    said: list[str] = []
    state: State = "note"
    for one in cancels:
        took = _stopped_after(one, offset)
        if not one.left or not one.upstream:
            said.append(f"{NAMES[one.api]}: the answer had ended before the client could leave")
        elif took is None:
            state = "bad"
            said.append(f"{NAMES[one.api]}: the server went on to the end for a client that had left")
        else:
            said.append(f"{NAMES[one.api]}: the server stopped {took:.0f} ms after the client left")
    advice = "; tokens are made, and paid for, that nobody reads" if state == "bad" else ""
    return Check(hop=name, name="cancel", state=state, said=f"{'; '.join(said)}{advice}.")


def _stopped_after(cancel: Cancel, offset: Offset) -> float | None:
    """ms; None: it did not stop, or it was never asked."""
    gone = cancel.upstream[-1].gone if cancel.upstream else None
    return None if gone is None else max(0.0, (gone - offset.ns - cancel.left_ns) / 1e6)
