"""The simulator behind the hops: its side of each answer, and what only the simulator sees of a cancel and a 429."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.core.scenario import Api
from bench.doctor.clock import Offset, combine_offsets
from bench.doctor.diagnosis import NAMES, Check, Delay, State, group_by
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
    """When the client left, by this process' clock."""
    left: bool
    """True where the answer had not ended before."""
    upstream: Sequence[UpstreamResponse]


@dataclass
class UpstreamLog:
    """The simulator's side of an examination, filled answer by answer."""

    url: str
    source: SimulatorClient
    before: Offset
    after: Offset | None = None
    responses: dict[str, Sequence[UpstreamResponse]] = field(default_factory=dict)
    """The simulator's responses, by the nonce of the question."""
    cancels: list[Cancel] = field(default_factory=list)
    limited: list[Reading] = field(default_factory=list)

    async def fetch(self, nonce: str) -> None:
        """Keep the simulator's side of an answer that has just arrived."""
        self.responses[nonce] = await self.source.responses_to(nonce)

    async def probe(self, hop: int, answers: Sequence[Reading], manner: Manner, connection: HopConnection) -> int:
        """Leave an answer of each API early and ask for a 429; return how many requests that took.

        `answers`: the longest text of each API that this hop sent before.
        """
        for one in answers:
            nonce = new_nonce()
            body, leave_after_s = body_of(one.question, manner, nonce), LEAVES_AFTER * one.end_ms / 1e3
            attempt = await connection.send(PATHS[one.question.api], body, leave_after_s=leave_after_s)
            upstream = await self.source.responses_to(nonce)
            self.cancels.append(Cancel(hop, one.question.api, attempt.t_end or 0, attempt.closed_early, upstream))
        if not answers:
            return 0
        question = Question(answers[0].question.api, "text", FEWEST, 0)
        body = body_of(question, manner, nonce := new_nonce()) | {"metadata": {"bench": json.dumps(_LIMITED)}}
        attempt = await connection.send(PATHS[question.api], body)
        self.limited.append(read_answer(attempt, question, hop=hop, nonce=nonce))
        return len(answers) + 1

    @property
    def offset(self) -> Offset:
        """The simulator's clock minus this process' clock, over the whole examination."""
        return combine_offsets(self.before, self.after or self.before)


@asynccontextmanager
async def open_log(url: str) -> AsyncIterator[UpstreamLog]:
    """Connect to the simulator with that base URL. Raises `BenchError` where there is none."""
    async with simulator_at(url) as source:
        yield UpstreamLog(url, source, await source.offset())


def path_delays(log: UpstreamLog, hop: int, name: str, readings: Sequence[Reading]) -> Iterator[Delay]:
    """Yield what the way to this hop adds, by API and mode."""
    mine = [one for one in readings if one.hop == hop]
    for (api, mode), some in group_by(mine, lambda one: (one.question.api, one.question.mode)).items():
        if answers := [(one.arrivals, log.responses.get(one.nonce, ())) for one in some if one.is_whole]:
            yield path_delay(name, api, mode, answers, log.offset)


def upstream_checks(log: UpstreamLog, hop: int, name: str, readings: Sequence[Reading]) -> list[Check]:
    """Check what only the simulator could see of this hop."""
    responses = [response for one in readings if one.hop == hop for response in log.responses.get(one.nonce, ())]
    limited = next((one for one in log.limited if one.hop == hop), None)
    cancels = [one for one in log.cancels if one.hop == hop]
    return [
        *gateway_checks(name, responses),
        *([_retry_headers_check(name, limited)] if limited else []),
        *([_cancel_check(name, cancels, log.offset)] if cancels else []),
    ]


def _retry_headers_check(name: str, reading: Reading) -> Check:
    after = reading.headers.get("retry-after")
    state: State = "good"
    said = "A 429 comes through with its Retry-After."
    if reading.status != 429:
        state = "unknown"
        said = f"The simulator was asked for a 429 and the answer was {reading.status}: this path drops metadata."
    elif after != str(RETRY_AFTER_S):
        state = "bad"
        said = f"A 429 comes through, its Retry-After of {RETRY_AFTER_S} s is {f'now {after}' if after else 'lost'}."
    return Check(hop=name, name="retry headers", state=state, said=said)


def _cancel_check(name: str, cancels: Sequence[Cancel], offset: Offset) -> Check:
    """Check how long the server went on after its client had left."""
    said: list[str] = []
    state: State = "note"
    for one in cancels:
        gone = one.upstream[-1].gone if one.upstream else None
        if not one.left or not one.upstream:
            said.append(f"{NAMES[one.api]}: the answer had ended before the client could leave")
        elif gone is None:
            state = "bad"
            said.append(f"{NAMES[one.api]}: the server went on to the end for a client that had left")
        else:
            took = max(0.0, (gone - offset.ns - one.left_ns) / 1e6)
            said.append(f"{NAMES[one.api]}: the server stopped {took:.0f} ms after the client left")
    advice = "; tokens are made, and paid for, that nobody reads" if state == "bad" else ""
    return Check(hop=name, name="cancel", state=state, said=f"{'; '.join(said)}{advice}.")
