"""Answers as a scenario reads them: from complete reads (deferred), or as they arrive (live)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any, Self

import httpx2
from pydantic import BaseModel

from bench.clients.decode.decode import BROKEN, DONE, Decoder
from bench.clients.http.pool import Handle
from bench.clients.wire.errors import event_error, exchange_error, not_deferred, status_error, unreadable
from bench.clients.wire.events import answer_of, event_maker
from bench.core.trial import Attempt, Trial

DRAIN_S = 0.1
"""Longest wait for the end of a body after `[DONE]`, so that the connection can be reused; the SDK's value."""


class Replay:
    """The clock of a deferred trial: it shows the time of the read that completed the scenario's latest event.

    A scenario may read the clock before the load generator starts its request. Its times then count from the trial's
    provisional origin, and are corrected at the end.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.begun = False
        self.fault: BaseException | None = None
        """Error that the trial ends with, even if the scenario swallowed it."""
        self.stream: Stream | None = None
        self._start = perf_counter_ns()
        self._asked = False
        self._decoder: Decoder | None = None
        self._now = self._shift = self._origin = 0

    def now(self) -> int:
        if self._decoder is not None:
            return self._decoder.t + self._shift
        if self.begun:
            return self._now + self._shift
        self._asked = True
        return self.trial.t_origin or self._start

    def begin(self, origin: int) -> None:
        """Record when the request was started."""
        if self._asked:
            self._shift = (self.trial.t_origin or self._start) - origin
        else:
            self.trial.t_origin = origin
        self.begun, self._origin, self._now = True, origin, origin

    def advance(self, stamp: int) -> None:
        self._now, self._decoder = stamp, None

    def follow(self, decoder: Decoder) -> None:
        """Follow the time of the event that the decoder gave last."""
        decoder.t, self._decoder = self._now, decoder

    def settle(self) -> None:
        """End the trial: correct its times, and set the error that it must end with."""
        trial = self.trial
        if not self.begun and trial.t_intend is not None:
            self.begin(trial.t_intend)  # it made no request: it was to begin then all the same
        if self.begun:
            trial.t_origin, trial.t_end = self._origin, self.now() - self._shift
        if self._shift:
            trial.pieces = [(time - self._shift, piece) for time, piece in trial.pieces]
        if self.stream and not self.stream.is_finished and trial.error is None:
            self.fault = left_early(trial)
        if self.fault and not isinstance(trial.error, asyncio.CancelledError):
            trial.error = self.fault
        self.stream, end = None, self.now()
        trial.clock = lambda: end  # nothing holds on to the answer: it is freed without a search for circles


class RealTime:
    """The clock of a live answer, which runs by itself."""

    def advance(self, stamp: int) -> None:
        """Do nothing."""

    def follow(self, decoder: Decoder) -> None:
        """Do nothing."""


class Complete:
    """A deferred exchange, which has ended."""

    ended = True

    def __init__(self, attempt: Attempt, clock: Replay) -> None:
        self.attempt, self.clock = attempt, clock

    async def next_read(self) -> None:
        """Do nothing: all reads are there."""

    def leave(self) -> None:
        """Raise `NeedsLive` if the stream was left early: a live scenario would have cut the answer short."""
        if self.clock.stream and not self.clock.stream.is_finished:
            self.clock.fault = left_early(self.clock.trial)
            raise self.clock.fault


def left_early(trial: Trial) -> Exception:
    """Return the error of a deferred scenario that leaves its stream."""
    return not_deferred(trial.scenario, "leaves its stream early")


class Underway:
    """A live exchange: reads arrive while the scenario waits."""

    clock = RealTime()

    def __init__(self, attempt: Attempt) -> None:
        self.attempt, self.ended = attempt, False
        self.handle: Handle | None = None
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Wake the scenario: a read has arrived."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def end(self) -> None:
        """Wake the scenario: the exchange has ended."""
        self.ended = True
        self.wake()

    async def next_read(self) -> None:
        """Wait for a further read, or the end."""
        if self.ended:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def leave(self) -> None:
        """Stop reading and close the connection."""
        if self.handle is not None:
            self.handle.cancel()


Exchange = Complete | Underway
"""A request and the reads of its answer."""


async def await_headers(exchange: Exchange, url: str) -> None:
    """Wait for the headers. Raises what the SDK raises for an earlier failure and for a bad status."""
    attempt = exchange.attempt
    while attempt.status is None and not exchange.ended:
        await exchange.next_read()
    if attempt.status is not None and attempt.status < 300:
        exchange.clock.advance(attempt.t_headers or 0)
        return
    while not exchange.ended:
        await exchange.next_read()
    exchange.clock.advance(attempt.t_end or 0)
    if attempt.error or attempt.status is None:
        raise exchange_error(attempt, request_of(attempt, url))
    raise status_error(response_of(attempt, url), _body(attempt))


async def whole_answer(exchange: Exchange, url: str) -> Any:
    """Return the answer of a blocking call once it is complete, as the SDK gives it."""
    attempt = exchange.attempt
    while not exchange.ended:
        await exchange.next_read()
    exchange.clock.advance(attempt.reads[-1][0] if attempt.reads and not attempt.error else attempt.t_end or 0)
    decoder = _decoder(attempt)
    answer = attempt.answer = decoder.decode(attempt.reads)
    if attempt.error:
        raise exchange_error(attempt, request_of(attempt, url))
    if _is_compressed(attempt):
        raise unreadable(answer, response_of(attempt, url))
    if decoder.value is None:  # the SDK gives other bodies as text, unless their type says JSON
        return _text(attempt, decoder)
    value = answer_of(decoder.value, chat=answer.chat)
    if isinstance(value, BaseModel):
        value._request_id = attempt.headers.get("x-request-id")  # type: ignore[attr-defined]  # as the SDK
    return value


class Stream:
    """The events of a streamed answer, with the interface of the SDK's `AsyncStream`."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self._exchange, self._url = exchange, url
        self._decoder = _decoder(exchange.attempt)
        self._iterator = self._events()
        exchange.clock.follow(self._decoder)
        self._read_all = self._failed = False

    @property
    def response(self) -> httpx2.Response:
        """Status and headers of the answer."""
        return response_of(self._exchange.attempt, self._url)

    @property
    def is_finished(self) -> bool:
        """True if the scenario got all of the answer: nothing is missing after its terminal event."""
        answer = self._decoder.answer
        return self._read_all or self._failed or answer.terminal is not None or answer.done

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterator

    async def __anext__(self) -> Any:
        return await anext(self._iterator)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.close()
        elif not self._exchange.ended:
            self._exchange.leave()

    async def close(self) -> None:
        """Stop reading, unless the end was read."""
        if not self._read_all:
            self._exchange.leave()

    async def _events(self) -> AsyncIterator[Any]:
        exchange, decoder = self._exchange, self._decoder
        attempt, make = exchange.attempt, event_maker(chat=decoder.answer.chat)
        if _is_compressed(attempt):
            self._fail()
            attempt.answer = decoder.answer
            raise unreadable(decoder.answer, self.response)
        while True:
            for value in decoder.values(attempt.reads):
                if type(value) is dict and not value.get("error"):
                    yield make(value)
                elif value is DONE:
                    await self._drain()
                    return
                else:
                    yield self._odd(value)
            if exchange.ended:
                break
            await exchange.next_read()
        self._end()
        if attempt.error:
            exchange.clock.advance(attempt.t_end or 0)
            raise exchange_error(attempt, request_of(attempt, self._url))

    def _odd(self, value: Any) -> Any:
        """Return or raise what the SDK does for an unusual event."""
        if value is BROKEN and self._decoder.failure:
            self._fail()
            raise self._decoder.failure
        if type(value) is dict:
            self._fail()
            raise event_error(value, request_of(self._exchange.attempt, self._url))
        return value

    def _fail(self) -> None:
        """End the events with an exception and leave the rest, as the SDK does."""
        self._failed = True
        if not self._exchange.ended:
            self._exchange.leave()

    async def _drain(self) -> None:
        """Read the body to its end after `[DONE]`; no more events are given."""
        exchange = self._exchange
        try:
            async with asyncio.timeout(DRAIN_S):
                while not exchange.ended:
                    await exchange.next_read()
        except TimeoutError:
            exchange.leave()
        self._end()

    def _end(self) -> None:
        self._read_all = True
        self._exchange.attempt.answer = self._decoder.decode(self._exchange.attempt.reads)


def _decoder(attempt: Attempt) -> Decoder:
    return Decoder(attempt.headers, asked_stream=attempt.asked_stream, path=attempt.path, unpacks=False)


def _is_compressed(attempt: Attempt) -> bool:
    return attempt.headers.get("content-encoding", "identity") not in {"", "identity"}


def _text(attempt: Attempt, decoder: Decoder) -> Any:
    """Return a body that has no JSON value: None for null, else its text."""
    body = _body(attempt)
    if decoder.failure is None:
        return None
    if attempt.headers.get("content-type", "").partition(";")[0].endswith("json"):
        raise decoder.failure
    return body.decode("utf-8", "replace")


def _body(attempt: Attempt) -> bytes:
    decoder = Decoder({}, asked_stream=False)
    decoder.decode(attempt.reads)
    return decoder.body


def request_of(attempt: Attempt, url: str) -> httpx2.Request:
    """Return the request as the SDK's exceptions carry it."""
    return httpx2.Request(attempt.method, url + attempt.path)


def response_of(attempt: Attempt, url: str) -> httpx2.Response:
    """Return status, headers and body so far, as the SDK's exceptions carry them."""
    headers = {name: value for name, value in attempt.headers.items() if name != "content-encoding"}
    return httpx2.Response(
        attempt.status or 0, headers=headers, content=_body(attempt), request=request_of(attempt, url)
    )
