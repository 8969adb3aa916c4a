"""The examination: every request to every hop in turns, one at a time, beside the metronome."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from bench.core.errors import BenchError
from bench.core.scenario import Api
from bench.core.trial import Attempt
from bench.doctor.diagnosis import Hop
from bench.doctor.probe.behind import UpstreamLog, open_log
from bench.doctor.probe.metronome import MachineLateness, Metronome, run_metronome, summarize
from bench.doctor.probe.send import HopConnection
from bench.doctor.requests import PATHS, Manner, Question, body_of, in_turns, new_nonce
from bench.doctor.verdict.reading import Reading, read_answer

H2_S = 5.0
_REFUSABLE = "stream_options"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A hop, and all that it takes to ask it."""

    hop: Hop
    key: str
    headers: Mapping[str, str]
    manner: Manner
    apis: Sequence[Api]
    """Those that it has a route for."""
    redact: Callable[[str], str] = str
    """Takes its secrets out of what it says."""


@dataclass(kw_only=True)
class Examination:
    """What came of it; filled answer by answer, so that an examination that is broken off keeps what it has."""

    readings: list[Reading] = field(default_factory=list)
    plain: list[Reading] = field(default_factory=list)
    """Of compressed answers the same once more, with no compression accepted."""
    unannounced: dict[int, int] = field(default_factory=dict)
    """By hop: kept connections that turned out to be closed when the next request was sent."""
    no_usage: set[int] = field(default_factory=set)
    """Hops that refuse `stream_options`."""
    h2: dict[int, bool] = field(default_factory=dict)
    """By hop with TLS: does it offer HTTP/2?"""
    metronome: Metronome = field(default_factory=Metronome)
    behind: UpstreamLog | None = None
    """What the simulator behind the hops saw of it, where there is one."""
    requests: int = 0

    @property
    def lateness(self) -> MachineLateness:
        """Of the metronome, over the whole examination."""
        return summarize(self.metronome.late_ms())


Step = Callable[[str], None]


async def examine(
    patients: Sequence[Patient],
    requests: Sequence[Question],
    found: Examination,
    *,
    metronome_url: str,
    deadline_s: float,
    seed: int,
    step: Step,
    simulator: str | None = None,
) -> None:
    """Send them all and note in `found` what comes. `step` is called after each request with what it was.

    `simulator`: the base URL of the one behind the hops, which is asked for its side of each answer.
    """
    async with AsyncExitStack() as stack:
        if simulator:
            found.behind = await stack.enter_async_context(open_log(simulator))
        lines = [await _line(patient, deadline_s, stack) for patient in patients]
        found.metronome = await stack.enter_async_context(run_metronome(metronome_url))
        for number, patient in enumerate(patients):
            if (offers := await offers_h2(patient.hop.base_url)) is not None:
                found.h2[number] = offers
        for hop, request in in_turns(requests, len(patients), seed):
            if request.api in patients[hop].apis:
                found.readings.append(await ask(patients[hop], lines[hop], hop, request, found))
                if found.behind:
                    await _log_upstream(found.behind, found.readings[-1], patients[hop].hop)
            step(f"{patients[hop].hop.name}, {request.api}, {request.mode}")
        for reading in longest_texts([one for one in found.readings if one.encoding]):
            line, patient = lines[reading.hop], patients[reading.hop]
            found.plain.append(await ask(patient, line, reading.hop, reading.question, found, plain=True))
        if found.behind:
            for number, (patient, line) in enumerate(zip(patients, lines, strict=True)):
                mine = [one for one in found.readings if one.hop == number and one.is_whole]
                found.requests += await found.behind.probe(number, longest_texts(mine), patient.manner, line)
            await found.behind.finish()


async def _log_upstream(behind: UpstreamLog, reading: Reading, hop: Hop) -> None:
    """Keep the simulator's side of it. Raises `BenchError` where another server answers: that may cost something."""
    await behind.note(reading.nonce)
    if reading.is_whole and not behind.upstream[reading.nonce]:
        raise BenchError(
            f"{hop.base_url} answers, but not from the simulator at {behind.url}: make that the upstream of the "
            "gateway (bench serve --print-config nginx|litellm|envoy shows how), or name the right one with --sim URL"
        )


async def _line(patient: Patient, deadline_s: float, stack: AsyncExitStack) -> HopConnection:
    """To this hop; it is closed with the stack."""
    line = HopConnection(patient.hop.base_url, patient.key, patient.headers, deadline_s)
    stack.push_async_callback(line.aclose)
    return line


async def ask(
    patient: Patient, line: HopConnection, hop: int, request: Question, found: Examination, *, plain: bool = False
) -> Reading:
    """One request, read. One that died on a kept connection is made once more, and noted."""
    nonce = new_nonce()
    attempt = await _send(patient, line, hop, request, nonce, found, plain=plain)
    read = read_answer(attempt, request, hop=hop, nonce=nonce)
    headers = {name: patient.redact(value) for name, value in read.headers.items()}
    reading = replace(read, wrong=patient.redact(read.wrong), headers=headers)
    if reading.kind == "refused" and _REFUSABLE in reading.wrong and hop not in found.no_usage:
        found.no_usage.add(hop)
        return await ask(patient, line, hop, request, found, plain=plain)
    return reading


async def _send(
    patient: Patient, line: HopConnection, hop: int, request: Question, nonce: str, found: Examination, *, plain: bool
) -> Attempt:
    manner = patient.manner if hop not in found.no_usage else replace(patient.manner, usage=False)
    body = body_of(request, manner, nonce)
    for _ in range(2):
        found.requests += 1
        with _without_gc():
            attempt = await line.send(PATHS[request.api], body, plain=plain)
        if not (attempt.reused and attempt.error and not attempt.reads):
            break
        found.unannounced[hop] = found.unannounced.get(hop, 0) + 1
    return attempt


@contextmanager
def _without_gc() -> Iterator[None]:
    """No garbage is collected while an answer is read."""
    gc.collect(0)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def longest_texts(readings: Sequence[Reading]) -> list[Reading]:
    """The longest text of each hop and API."""
    found: dict[tuple[int, Api], Reading] = {}
    for one in readings:
        known = found.get((one.hop, one.question.api))
        if one.question.mode == "text" and (known is None or one.question.tokens > known.question.tokens):
            found[one.hop, one.question.api] = one
    return list(found.values())


async def offers_h2(base_url: str) -> bool | None:
    """Would it speak HTTP/2? None without TLS, or where that cannot be found out."""
    url = urlsplit(base_url)
    if url.scheme != "https":
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(H2_S):
            _, writer = await asyncio.open_connection(url.hostname, url.port or 443, ssl=context)
    except (OSError, ssl.SSLError):
        return None
    encrypted = writer.get_extra_info("ssl_object")
    writer.transport.abort()
    return bool(encrypted.selected_alpn_protocol() == "h2")
