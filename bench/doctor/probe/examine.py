"""Send every question to every hop in turns, one at a time, beside the reference stream."""

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
from bench.doctor.diagnosis import Floor, Hop
from bench.doctor.probe.reference_stream import ReferenceStream, floor_of, open_reference_stream
from bench.doctor.probe.send import HopConnection
from bench.doctor.probe.upstream import UpstreamLog, open_log
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
    """The APIs that the hop has a route for."""
    redact: Callable[[str], str] = str
    """Takes the hop's secrets out of what it says."""


@dataclass(kw_only=True)
class Examination:
    """The results, filled answer by answer, so that an examination that is broken off keeps what it has."""

    readings: list[Reading] = field(default_factory=list)
    plain: list[Reading] = field(default_factory=list)
    """Compressed answers once more, with no compression accepted."""
    unannounced: dict[int, int] = field(default_factory=dict)
    """Kept connections that turned out to be closed when the next request was sent, by hop."""
    no_usage: set[int] = field(default_factory=set)
    """Hops that refuse `stream_options`."""
    h2: dict[int, bool] = field(default_factory=dict)
    """True by hop with TLS that offers HTTP/2."""
    reference: ReferenceStream = field(default_factory=ReferenceStream)
    upstream: UpstreamLog | None = None
    """What the simulator behind the hops saw, where there is one."""
    requests: int = 0

    @property
    def floor(self) -> Floor:
        """The lateness of the reference stream over the whole examination."""
        return floor_of(self.reference.late_ms())


async def examine(
    patients: Sequence[Patient],
    questions: Sequence[Question],
    found: Examination,
    *,
    reference_url: str,
    deadline_s: float,
    seed: int,
    step: Callable[[str], None],
    simulator: str | None = None,
) -> None:
    """Send every question and collect the answers in `found`. `step` is called after each with what it was.

    `simulator`: the base URL of the one behind the hops, which is asked for its side of each answer.
    """
    async with AsyncExitStack() as stack:
        if simulator:
            found.upstream = await stack.enter_async_context(open_log(simulator))
        connections = [HopConnection(one.hop.base_url, one.key, one.headers, deadline_s) for one in patients]
        for connection in connections:
            stack.push_async_callback(connection.aclose)
        found.reference = await stack.enter_async_context(open_reference_stream(reference_url))
        for number, patient in enumerate(patients):
            if (offers := await offers_h2(patient.hop.base_url)) is not None:
                found.h2[number] = offers
        for hop, question in in_turns(questions, len(patients), seed):
            if question.api in patients[hop].apis:
                found.readings.append(await ask(patients[hop], connections[hop], hop, question, found))
                if found.upstream:
                    await _log_upstream(found.upstream, found.readings[-1], patients[hop].hop)
            step(f"{patients[hop].hop.name}, {question.api}, {question.mode}")
        for reading in longest_texts([one for one in found.readings if one.encoding]):
            hop, question = reading.hop, reading.question
            found.plain.append(await ask(patients[hop], connections[hop], hop, question, found, plain=True))
        if found.upstream:
            await _probe_upstream(found.upstream, patients, connections, found)


async def _probe_upstream(
    log: UpstreamLog, patients: Sequence[Patient], connections: Sequence[HopConnection], found: Examination
) -> None:
    """Leave answers early and ask for a 429 at each hop, then read the simulator's clock once more."""
    for number, (patient, connection) in enumerate(zip(patients, connections, strict=True)):
        mine = [one for one in found.readings if one.hop == number and one.is_whole]
        found.requests += await log.probe(number, longest_texts(mine), patient.manner, connection)
    log.after = await log.source.offset()


async def _log_upstream(log: UpstreamLog, reading: Reading, hop: Hop) -> None:
    """Keep the simulator's side of it. Raises `BenchError` where another server answers: that may cost something."""
    await log.fetch(reading.nonce)
    if reading.is_whole and not log.responses[reading.nonce]:
        raise BenchError(
            f"{hop.base_url} answers, but not from the simulator at {log.url}: make that the upstream of the "
            "gateway (bench serve --print-config nginx|litellm|envoy shows how), or name the right one with --sim URL"
        )


async def ask(
    patient: Patient,
    connection: HopConnection,
    hop: int,
    question: Question,
    found: Examination,
    *,
    plain: bool = False,
) -> Reading:
    """Send a question and read the answer; ask once more without `stream_options` where those are refused."""
    nonce = new_nonce()
    manner = patient.manner if hop not in found.no_usage else replace(patient.manner, usage=False)
    body = body_of(question, manner, nonce)
    attempt = await _send(connection, hop, PATHS[question.api], body, found, plain=plain)
    read = read_answer(attempt, question, hop=hop, nonce=nonce)
    headers = {name: patient.redact(value) for name, value in read.headers.items()}
    reading = replace(read, wrong=patient.redact(read.wrong), headers=headers)
    if reading.kind == "refused" and _REFUSABLE in reading.wrong and hop not in found.no_usage:
        found.no_usage.add(hop)
        return await ask(patient, connection, hop, question, found, plain=plain)
    return reading


async def _send(
    connection: HopConnection, hop: int, path: str, body: Mapping[str, object], found: Examination, *, plain: bool
) -> Attempt:
    """Send a request; a request that died on a kept connection is sent once more, and counted."""
    for _ in range(2):
        found.requests += 1
        with _without_gc():
            attempt = await connection.send(path, body, plain=plain)
        if not (attempt.reused and attempt.error and not attempt.reads):
            break
        found.unannounced[hop] = found.unannounced.get(hop, 0) + 1
    return attempt


@contextmanager
def _without_gc() -> Iterator[None]:
    """Collect no garbage while an answer is read."""
    gc.collect(0)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def longest_texts(readings: Sequence[Reading]) -> list[Reading]:
    """Return the longest text of each hop and API."""
    found: dict[tuple[int, Api], Reading] = {}
    for one in readings:
        known = found.get((one.hop, one.question.api))
        if one.question.mode == "text" and (known is None or one.question.tokens > known.question.tokens):
            found[one.hop, one.question.api] = one
    return list(found.values())


async def offers_h2(base_url: str) -> bool | None:
    """Return whether the server offers HTTP/2; None without TLS, or where that cannot be found out."""
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
