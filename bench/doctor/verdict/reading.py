"""Turn the socket reads of one streamed answer into a `Reading`: when what arrived, and whether it is sound.

Times are ms after the request was sent, but for `arrivals`, which are held against another process' stamps.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, NamedTuple

import httptools

from bench.clients.decode.decode import DELTA_KINDS, Answer, Decoder, Event, Http, decode, unpacker
from bench.clients.decode.sse import SseParser
from bench.clients.wire.errors import DEADLINE
from bench.core.trial import Attempt
from bench.doctor.diagnosis import Mode
from bench.doctor.requests import Question

Kind = Literal["stream", "json", "refused", "limited", "failed", "late"]
EVENT_STREAM = "text/event-stream"
_OF_MODE: Mapping[Mode, frozenset[str]] = {
    "text": DELTA_KINDS - {"tool_args"},
    "tools": frozenset({"tool_args", "item"}),
    "structured": frozenset({"content", "refusal"}),
}
"""The events that bring a mode's answer. A text may begin with reasoning, which streams as well."""
_SAYS = DELTA_KINDS - {"reasoning"}
_ENDED_BADLY = ("failed", "error")


class Read(NamedTuple):
    """One read of the socket that brought something of the body."""

    ms: float
    bytes: int
    """Bytes of the body, as it was transferred."""
    deltas: int
    """How many deltas the read completed."""
    inside: bool
    """True where the read ends inside an event."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One answer, as it arrived."""

    hop: int
    question: Question
    kind: Kind
    wrong: str = ""
    """What is wrong with the answer, or what the server said when it refused."""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    http_version: str = ""
    reused: bool = False
    connect_ms: float | None = None
    """TCP and TLS, where the connection was new."""
    headers_ms: float | None = None
    first_byte_ms: float | None = None
    """The first byte of the body, whatever it says."""
    first_ms: float | None = None
    """The first delta; None: there was none."""
    last_ms: float | None = None
    """The last delta."""
    end_ms: float = 0.0
    reads: Sequence[Read] = ()
    """From the first delta to the last."""
    arrivals: Sequence[tuple[int, int]] = ()
    """(raw `perf_counter_ns`, characters of the answer by then)."""
    t_sent: int = 0
    """Raw `perf_counter_ns`: what the times count from."""
    deltas: int = 0
    chars: int = 0
    tokens: int | None = None
    """Output tokens by the answer's usage."""
    pings: int = 0
    numbered: str = "none"
    """`sequence_number`: `whole`, `gaps` or `none`."""
    done: bool = False
    """`[DONE]` came."""
    elsewhere: bool = False
    """True for a text that came instead of a call, or of JSON."""
    nonce: str = ""
    client_id: str = ""

    @property
    def is_whole(self) -> bool:
        """True for a stream that came to its proper end."""
        return self.kind == "stream" and not self.wrong

    @property
    def is_broken(self) -> bool:
        """True for an answer that was to be a stream, and is no whole one."""
        return self.kind in {"stream", "failed"} and bool(self.wrong)

    @property
    def encoding(self) -> str:
        """The encoding of the body; "" where it is sent as it is."""
        encoding = self.headers.get("content-encoding", "")
        return "" if encoding == "identity" else encoding

    @property
    def window_ms(self) -> float:
        """The ms from the first delta to the last."""
        return (self.last_ms or 0.0) - (self.first_ms or 0.0)


def read_answer(attempt: Attempt, question: Question, *, hop: int, nonce: str) -> Reading:
    """Decode an attempt, and collect what matters of the answer."""
    answer = decode(attempt.reads, attempt.headers, asked_stream=True, path=attempt.path)
    origin = attempt.t_sent or attempt.t_start
    kind, wrong = _kind(attempt, answer)
    events = [event for event in answer.events if event.meaning.kind in _OF_MODE[question.mode]]
    deltas = _deltas(events)
    arrivals = _arrivals(deltas)
    return Reading(
        hop=hop,
        question=question,
        kind=kind,
        wrong=wrong,
        status=attempt.status,
        headers=attempt.headers,
        http_version=attempt.http_version or "",
        reused=attempt.reused,
        connect_ms=_elapsed_ms(attempt.t_connect, attempt.t_tls or attempt.t_connected),
        headers_ms=_elapsed_ms(origin, attempt.t_headers),
        first_byte_ms=_elapsed_ms(origin, next((time for time, body in _bodies(attempt) if body), None)),
        first_ms=_elapsed_ms(origin, arrivals[0][0] if arrivals else None),
        last_ms=_elapsed_ms(origin, arrivals[-1][0] if arrivals else None),
        end_ms=_elapsed_ms(origin, attempt.t_end) or 0.0,
        reads=_reads(attempt, deltas, origin),
        arrivals=arrivals,
        t_sent=origin,
        deltas=len(deltas),
        chars=arrivals[-1][1] if arrivals else 0,
        tokens=answer.usage.output if answer.usage else None,
        pings=answer.pings,
        numbered=_sequence_state(answer),
        done=answer.done,
        elsewhere=_elsewhere(attempt, answer, question.mode, found=bool(deltas)),
        nonce=nonce,
        client_id=attempt.client_id,
    )


def _elsewhere(attempt: Attempt, answer: Answer, mode: Mode, *, found: bool) -> bool:
    """Return True for a text that came instead of a call, or of JSON."""
    if not found:
        return any(event.meaning.chars and event.meaning.kind in _SAYS for event in answer.events)
    return mode == "structured" and answer.is_stream and not _text(attempt).lstrip().startswith(("{", "["))


def _text(attempt: Attempt) -> str:
    """Return the beginning of the text, as far as it is needed to see what it is."""
    said = ""
    for value in Decoder(attempt.headers, asked_stream=True, path=attempt.path).values(attempt.reads):
        said += text_of_delta(value) if isinstance(value, dict) else ""
        if said.strip():
            break
    return said


def text_of_delta(event: Mapping[str, Any]) -> str:
    """Return what an event of either API adds to the text."""
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    delta = choice.get("delta") if isinstance(choice, dict) else event.get("delta")
    if event.get("type") not in {None, "response.output_text.delta"}:
        return ""
    text = delta.get("content") if isinstance(delta, dict) else delta
    return text if isinstance(text, str) else ""


def _elapsed_ms(origin: int | None, time: int | None) -> float | None:
    return None if origin is None or time is None else (time - origin) / 1e6


def _kind(attempt: Attempt, answer: Answer) -> tuple[Kind, str]:
    """Return the kind of answer, and what is wrong with it."""
    said = answer.message or answer.malformed or ""
    if attempt.error and attempt.error.endswith(DEADLINE):
        return "late", attempt.error.partition(": ")[2]
    if attempt.status is None:
        return "failed", attempt.error or "no answer"
    if attempt.status == 429:
        return "limited", said
    if attempt.status >= 400:
        what = f"HTTP {attempt.status}" + (f": {said}" if said else "")
        return ("refused" if attempt.status < 500 else "failed"), what
    if answer.is_response:
        return "json", ""
    return "stream", _wrong(attempt, answer)


def _wrong(attempt: Attempt, answer: Answer) -> str:
    """Say what a stream lacks; "" where it is sound."""
    content_type = attempt.headers.get("content-type", "")
    if attempt.error:
        return f"the connection ended inside the answer ({attempt.error.partition(': ')[2] or attempt.error})"
    body = b"".join(part for _, part in _bodies(attempt)).lstrip()
    if not content_type.lower().startswith(EVENT_STREAM) and body.startswith((b"data:", b"event:", b":")):
        return f"the content type is {content_type or 'missing'}, not {EVENT_STREAM}"
    if not answer.is_stream:
        said = f" ({answer.message})" if answer.message else ""
        return f"the content type is {content_type or 'missing'}, and the body is no event stream{said}"
    if answer.malformed:
        return f"it is malformed: {answer.malformed}"
    if answer.terminal is None:
        return "it ends without a terminal event"
    if answer.terminal in _ENDED_BADLY:
        return f"the server ended it with an error ({answer.message or answer.terminal})"
    return ""


def _bodies(attempt: Attempt) -> Iterator[tuple[int, bytes]]:
    """Yield (time, what it brought of the body) of each read, as far as that is HTTP."""
    http = Http()
    for time, data in attempt.reads:
        try:
            yield time, http.feed(data)
        except httptools.HttpParserError:
            return


def _deltas(events: Sequence[Event]) -> list[Event]:
    """Select the events that bring something new; where there were no deltas, the first that came complete."""
    bringing = [event for event in events if event.meaning.chars]
    return [event for event in bringing if not event.meaning.whole] or bringing[:1]


def _arrivals(deltas: Sequence[Event]) -> list[tuple[int, int]]:
    """Return (time, characters of the answer by then) of each read that brought some."""
    found: dict[int, int] = {}
    chars = 0
    for event in deltas:
        chars += event.meaning.chars
        found[event.t_read] = chars
    return list(found.items())


def _reads(attempt: Attempt, deltas: Sequence[Event], origin: int) -> list[Read]:
    """List the reads of the body from the first delta to the last."""
    if not deltas:
        return []
    counts = Counter(event.read for event in deltas)
    events = SseParser()
    unpack = unpacker(attempt.headers.get("content-encoding", "identity"), unpacks=True)
    found = []
    for number, (time, body) in enumerate(islice(_bodies(attempt), deltas[-1].read + 1)):
        try:
            events.feed(unpack(body) if unpack else body)
        except zlib.error:
            break
        if body and number >= deltas[0].read:
            found.append(Read((time - origin) / 1e6, len(body), counts[number], events.is_unfinished))
    return found


def _sequence_state(answer: Answer) -> str:
    """Say whether the sequence numbers of the events count on: `whole`, `gaps` or `none`."""
    numbers = [event.meaning.sequence_number for event in answer.events if event.meaning.type != "[DONE]"]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or not known:
        return "none"
    return "whole" if known == list(range(known[0], known[0] + len(known))) else "gaps"
