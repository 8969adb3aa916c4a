"""What the simulator really sent, and when: the truth that measurements on the client are held against."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.types import Scope

from bench.core.errors import BenchError
from bench.core.text.text_file import read_json_lines
from bench.simulator.timing.pacing import Stop

_MOST_BYTES = 64 * 1024 * 1024
"""Most bytes of frames that are kept in memory, of all responses together."""
_TELLING = {"via", "x-forwarded-for", "x-forwarded-proto", "connection", "accept-encoding", "user-agent"}
"""Headers that say what a gateway is and how it connects; no other is kept, above all no key."""


@dataclass(frozen=True, kw_only=True)
class ReceivedRequest:
    """The request as it came in: where a gateway is in between, what that made of it."""

    method: str
    path: str
    http_version: str
    """`1.0` or `1.1`."""
    headers: Mapping[str, str]
    """Only those of `_TELLING`."""

    @classmethod
    def from_scope(cls, scope: Scope) -> ReceivedRequest:
        """Read what an ASGI scope says."""
        headers: dict[str, str] = {}
        for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]):
            if name in _TELLING:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return cls(method=scope["method"], path=scope["path"], http_version=scope["http_version"], headers=headers)


@dataclass
class SentResponse:
    """One response as it left. Times are raw `time.perf_counter_ns()`: the same clock for every process (Linux)."""

    client_id: str | None
    """`X-Client-Request-Id` of the request."""
    server_id: str
    """`x-request-id` of the response."""
    t_received: int
    """The last byte of the request was here."""
    t_sent: list[int] = field(default_factory=list)
    """Just before each frame was handed to the socket."""
    types: list[str] = field(default_factory=list)
    """Event type of each frame; `body` for a blocking answer."""
    sizes: list[int] = field(default_factory=list)
    """Length of each frame, without the chunk framing of HTTP."""
    attempt: int = 0
    """Which attempt at this turn of its trial it answers, from 0."""
    fault: str | None = None
    """What goes wrong with it on purpose: a kind of fault, or an HTTP status; None: nothing."""
    gone: int | None = None
    """When the client was seen to have left before the end; None: it stayed."""
    stop: Stop | None = None
    """What cancels the response, if it can be cancelled."""
    on_frame: Callable[[str, bytes], None] | None = None
    """Called with each frame (its type and bytes) just before the frame leaves."""
    nonce: str | None = None
    """The nonce of the question, where responses are kept."""
    asked: ReceivedRequest | None = None
    """The request, of a response that is kept."""
    frames: list[bytes] | None = None
    """Each frame, of a response that is kept."""
    done: bool = False
    """No more frames will come."""

    def stamp(self, type_: str, frame: bytes) -> None:
        """Note a frame that is handed over right after this."""
        if self.on_frame:
            self.on_frame(type_, frame)
        if self.frames is not None:
            self.frames.append(frame)
        self.types.append(type_)
        self.sizes.append(len(frame))
        self.t_sent.append(time.perf_counter_ns())


class TruthLog:
    """A file with one JSON line per response, handed to the kernel when the response ends, whole or broken off.

    And in memory the last `keep` responses to questions with a nonce, as they leave.
    """

    def __init__(self, path: Path | None, keep: int = 0) -> None:
        self._kept: deque[SentResponse] = deque(maxlen=keep)
        try:
            self._file = path.open("ab", buffering=0) if path else None
        except OSError as error:
            raise BenchError(f"--truth {path}: cannot be written ({error.strerror}); name another file") from error

    @property
    def keeps(self) -> bool:
        """True if responses are kept in memory."""
        return bool(self._kept.maxlen)

    def responses_to(self, nonce: str) -> list[SentResponse]:
        """Return the kept responses to questions with that nonce, oldest first, also those still under way."""
        return [sent for sent in self._kept if sent.nonce == nonce]

    def begin(self, sent: SentResponse, scope: Scope) -> None:
        """Keep a response that is about to leave, if any are kept and a nonce is there to find it by."""
        if self.keeps and sent.nonce:
            sent.asked, sent.frames = ReceivedRequest.from_scope(scope), []
            self._kept.append(sent)
            while sum(sum(each.sizes) for each in self._kept) > _MOST_BYTES:
                self._kept.popleft()

    def write(self, sent: SentResponse) -> None:
        """Append one response, which has ended."""
        sent.done = True
        if self._file:
            self._file.write(orjson.dumps(_row(sent)) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _row(sent: SentResponse) -> dict[str, Any]:
    return {
        "client_id": sent.client_id,
        "server_id": sent.server_id,
        "t_received": sent.t_received,
        "t_sent": sent.t_sent,
        "type": sent.types,
        "bytes": sent.sizes,
        "attempt": sent.attempt,
        "fault": sent.fault,
        "gone": sent.gone,
        "t_cancelled": sent.stop.at if sent.stop else None,
    }


def read_truth(path: Path) -> Iterator[dict[str, Any]]:
    """Read the lines of a truth file.

    Each has client_id, server_id, t_received, by frame t_sent, type, bytes, and attempt, fault, gone (see
    `SentResponse`), t_cancelled. A response's line follows its last byte by a moment: read when the simulator has
    ended. A last line that is cut is left out; `BenchError` is raised for any other damage.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}); the simulator writes it with --truth") from error
    with file as lines:
        yield from read_json_lines(lines, path, "run again")
