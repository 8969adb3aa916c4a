"""The simulator behind the hops: its side of each answer, and what only it can see of a cancel and a refusal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.core.scenario import Api
from bench.doctor.clock import Offset, combine_offsets
from bench.doctor.diagnosis import NAMES, Check, Delay, State
from bench.doctor.probe.send import HopConnection
from bench.doctor.probe.source import SimulatorClient, simulator_at
from bench.doctor.requests import FEWEST, PATHS, Manner, Question, body_of, new_nonce
from bench.doctor.verdict.path import UpstreamResponse, gateway_checks, path_delay
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
    upstream: Sequence[UpstreamResponse]


@dataclass
class UpstreamLog:
    """Filled answer by answer."""

    url: str
    source: SimulatorClient
    before: Offset
    after: Offset | None = None
    upstream: dict[str, Sequence[UpstreamResponse]] = field(default_factory=dict)
    """By the nonce of the question."""
    cancels: list[Cancel] = field(default_factory=list)
    limited: list[Reading] = field(default_factory=list)

    async def note(self, nonce: str) -> None:
        """Keep its side of an answer that has just arrived."""
        self.upstream[nonce] = await self.source.responses_to(nonce)

    async def probe(self, hop: int, answers: Sequence[Reading], manner: Manner, line: HopConnection) -> int:
        """Leave an answer of each API early, and be refused one; how many requests that took.

        `answers`: the longest text of each API that was read before, of this hop.
        """
        for one in answers:
            nonce = new_nonce()
            seconds = LEAVES_AFTER * one.end_ms / 1e3
            attempt = await line.send(
                PATHS[one.question.api], body_of(one.question, manner, nonce), leave_after_s=seconds
            )
            upstream = await self.source.responses_to(nonce)
            self.cancels.append(Cancel(hop, one.question.api, attempt.t_end or 0, attempt.closed_early, upstream))
        if not answers:
            return 0
        request = Question(answers[0].question.api, "text", FEWEST, 0)
        body = body_of(request, manner, nonce := new_nonce()) | {"metadata": {"bench": json.dumps(_LIMITED)}}
        self.limited.append(read_answer(await line.send(PATHS[request.api], body), request, hop=hop, nonce=nonce))
        return len(answers) + 1

    async def finish(self) -> None:
        """Look at the clocks once more."""
        self.after = await self.source.offset()

    @property
    def offset(self) -> Offset:
        """Of the clocks, over the whole examination."""
        return combine_offsets(self.before, self.after or self.before)


@asynccontextmanager
async def open_log(url: str) -> AsyncIterator[UpstreamLog]:
    """The simulator with that base URL. Raises `BenchError` where there is none."""
    async with simulator_at(url) as source:
        yield UpstreamLog(url, source, await source.offset())


def path_delays(behind: UpstreamLog, hop: int, name: str, readings: Sequence[Reading]) -> Iterator[Delay]:
    """What the way to this hop adds, by API and mode."""
    kinds = dict.fromkeys((one.question.api, one.question.mode) for one in readings if one.hop == hop)
    for api, mode in kinds:
        mine = [
            one
            for one in readings
            if (one.hop, one.question.api, one.question.mode) == (hop, api, mode) and one.is_whole
        ]
        answers = [(one.arrivals, behind.upstream.get(one.nonce, ())) for one in mine]
        if answers:
            yield path_delay(name, api, mode, answers, behind.offset)


def upstream_checks(behind: UpstreamLog, hop: int, name: str, readings: Sequence[Reading]) -> list[Check]:
    """What only the simulator could see."""
    nonces = [one.nonce for one in readings if one.hop == hop]
    responses = [response for nonce in nonces for response in behind.upstream.get(nonce, ())]
    refused = [one for one in behind.limited if one.hop == hop]
    cancels = [one for one in behind.cancels if one.hop == hop]
    found = gateway_checks(name, responses)
    found += [_retry_headers_check(name, refused[0])] if refused else []
    return found + ([_cancel_check(name, cancels, behind.offset)] if cancels else [])


def _retry_headers_check(name: str, reading: Reading) -> Check:
    check = "retry headers"
    if reading.status != 429:
        said = f"The simulator was asked for a 429 and the answer was {reading.status}: this path drops metadata."
        return Check(hop=name, name=check, state="unknown", said=said)
    after = reading.headers.get("retry-after")
    if after == str(RETRY_AFTER_S):
        return Check(hop=name, name=check, state="good", said="A 429 comes through with its Retry-After.")
    said = f"A 429 comes through, its Retry-After of {RETRY_AFTER_S} s is {f'now {after}' if after else 'lost'}."
    return Check(hop=name, name=check, state="bad", said=said)


def _cancel_check(name: str, cancels: Sequence[Cancel], offset: Offset) -> Check:
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
