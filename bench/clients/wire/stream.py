"""Answers as a scenario reads them: over reads that are complete (deferred), or that come as it awaits them (live)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Any, Protocol, Self

import httpx2
from pydantic import BaseModel

from bench.clients.decode.decode import BROKEN, DONE, Decoder
from bench.clients.wire.errors import event_error, exchange_error, not_deferred, status_error, unreadable
from bench.clients.wire.events import answer_of, event_maker
from bench.clients.wire.pool import Handle
from bench.core.trial import Attempt, Trial

DRAIN_S = 0.1
"""Longest wait for the end of a body after its `[DONE]`, so that the connection can be used again: the SDK's own."""


class Clock(Protocol):
    """What is told of the time that an answer's events have."""

    def at(self, stamp: int) -> None: ...
    def follow(self, decoder: Decoder) -> None: ...


class Exchange(Protocol):
    """A request and the reads of its answer."""

    attempt: Attempt
    ended: bool
    """No further read will come."""

    @property
    def clock(self) -> Clock:
        """Of the trial."""

    async def more(self) -> None:
        """Until there is a further read, or the end."""

    def leave(self) -> None:
        """Read no further."""


class Replay:
    """The clock of a deferred trial: it stands at the read that completed what the scenario was given last.

    A scenario may have read the clock before its request was begun by the other process. Its times then count from the
    trial's provisional origin, and are put right at the end.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.begun = False
        self.fault: BaseException | None = None
        """What the trial ends with, even if the scenario has swallowed it."""
        self.stream: Stream | None = None
        self._start = perf_counter_ns()
        self._asked = False
        self._decoder: Decoder | None = None
        self._now = self._shift = self._origin = 0

    def now(self) -> int:
        """The scenario's time."""
        if self._decoder is not None:
            return self._decoder.t + self._shift
        if self.begun:
            return self._now + self._shift
        self._asked = True
        return self.trial.t_origin or self._start

    def begin(self, origin: int) -> None:
        """The request was begun at that time."""
        if self._asked:
            self._shift = (self.trial.t_origin or self._start) - origin
        else:
            self.trial.t_origin = origin
        self.begun, self._origin, self._now = True, origin, origin

    def at(self, stamp: int) -> None:
        """The scenario goes on at that time."""
        self._now, self._decoder = stamp, None

    def follow(self, decoder: Decoder) -> None:
        """From now on its time is that of the event it was given last."""
        decoder.t, self._decoder = self._now, decoder

    def settle(self) -> None:
        """The trial is over: its times become true ones, and it ends with what must not be passed over."""
        trial = self.trial
        if not self.begun and trial.t_intend is not None:
            self.begin(trial.t_intend)  # it made no request: it was to begin then all the same
        if self.begun:
            trial.t_origin, trial.t_end = self._origin, self.now() - self._shift
        if self._shift:
            trial.pieces = [(time - self._shift, piece) for time, piece in trial.pieces]
        if self.stream and not self.stream.finished and trial.error is None:
            self.fault = left_early(trial)
        if self.fault and not isinstance(trial.error, asyncio.CancelledError):
            trial.error = self.fault
        self.stream, end = None, self.now()
        trial.clock = lambda: end  # nothing holds on to the answer: it is freed without a search for circles


class RealTime:
    """The clock of a live answer needs no telling."""

    def at(self, stamp: int) -> None:
        """Nothing."""

    def follow(self, decoder: Decoder) -> None:
        """Nothing."""


class Complete:
    """A deferred exchange: it has ended."""

    ended = True

    def __init__(self, attempt: Attempt, clock: Replay) -> None:
        self.attempt, self.clock = attempt, clock

    async def more(self) -> None:
        """Never called: there is no more."""

    def leave(self) -> None:
        """Raises `NotDeferred`: who leaves early would have cut the answer short."""
        if self.clock.stream and not self.clock.stream.finished:
            self.clock.fault = left_early(self.clock.trial)
            raise self.clock.fault


def left_early(trial: Trial) -> Exception:
    """What a deferred scenario gets that leaves its stream."""
    return not_deferred(trial.scenario, "leaves its stream early")


class Underway:
    """A live exchange: reads come while the scenario waits."""

    clock = RealTime()

    def __init__(self, attempt: Attempt) -> None:
        self.attempt, self.ended = attempt, False
        self.handle: Handle | None = None
        self._waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """A read came."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def over(self) -> None:
        """The exchange has ended."""
        self.ended = True
        self.wake()

    async def more(self) -> None:
        """Until there is a further read, or the end."""
        if self.ended:
            return
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def leave(self) -> None:
        """Read no further: the connection is closed."""
        if self.handle is not None:
            self.handle.cancel()


async def begun(exchange: Exchange, url: str) -> None:
    """Until the head of the answer is there. Raises what the SDK raises for a failure before, and for a bad status."""
    attempt = exchange.attempt
    while attempt.status is None and not exchange.ended:
        await exchange.more()
    if attempt.status is not None and attempt.status < 300:
        exchange.clock.at(attempt.t_headers or 0)
        return
    while not exchange.ended:
        await exchange.more()
    exchange.clock.at(attempt.t_end or 0)
    if attempt.error or attempt.status is None:
        raise exchange_error(attempt, request_of(attempt, url))
    raise status_error(response_of(attempt, url), _body(attempt))


async def whole(exchange: Exchange, url: str) -> Any:
    """The answer of a blocking call, once it is complete, as the SDK gives it."""
    attempt = exchange.attempt
    while not exchange.ended:
        await exchange.more()
    exchange.clock.at(attempt.reads[-1][0] if attempt.reads and not attempt.error else attempt.t_end or 0)
    decoder = _decoder(attempt)
    answer = attempt.answer = decoder.decode(attempt.reads)
    if attempt.error:
        raise exchange_error(attempt, request_of(attempt, url))
    if _compressed(attempt):
        raise unreadable(answer, response_of(attempt, url))
    if decoder.value is None:  # the SDK gives a body that is no JSON as it is, unless it is called JSON
        return _text(attempt, decoder)
    value = answer_of(decoder.value, chat=answer.chat)
    if isinstance(value, BaseModel):
        value._request_id = attempt.headers.get("x-request-id")  # type: ignore[attr-defined]  # as the SDK
    return value


class Stream:
    """The events of a streamed answer, with the surface of the SDK's `AsyncStream`."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self._exchange, self._url = exchange, url
        self._decoder = _decoder(exchange.attempt)
        self._iterator = self._events()
        exchange.clock.follow(self._decoder)
        self._read_all = self._failed = False

    @property
    def response(self) -> httpx2.Response:
        """Status and headers."""
        return response_of(self._exchange.attempt, self._url)

    @property
    def finished(self) -> bool:
        """Was the answer given to its end? Behind its terminal event nothing is missing."""
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
        """Read no further. Nothing happens once the end was read."""
        if not self._read_all:
            self._exchange.leave()

    async def _events(self) -> AsyncIterator[Any]:
        exchange, decoder = self._exchange, self._decoder
        attempt, make = exchange.attempt, event_maker(chat=decoder.answer.chat)
        if _compressed(attempt):
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
            await exchange.more()
        self._end()
        if attempt.error:
            exchange.clock.at(attempt.t_end or 0)
            raise exchange_error(attempt, request_of(attempt, self._url))

    def _odd(self, value: Any) -> Any:
        """What the SDK gives or raises for an event that is not as usual."""
        if value is BROKEN and self._decoder.failure:
            self._fail()
            raise self._decoder.failure
        if type(value) is dict:
            self._fail()
            raise event_error(value, request_of(self._exchange.attempt, self._url))
        return value

    def _fail(self) -> None:
        """An exception ends the events: the rest is left, as the SDK does."""
        self._failed = True
        if not self._exchange.ended:
            self._exchange.leave()

    async def _drain(self) -> None:
        """Behind `[DONE]`: nothing is given any more, but the body is read to its end."""
        exchange = self._exchange
        try:
            async with asyncio.timeout(DRAIN_S):
                while not exchange.ended:
                    await exchange.more()
        except TimeoutError:
            exchange.leave()
        self._end()

    def _end(self) -> None:
        self._read_all = True
        self._exchange.attempt.answer = self._decoder.decode(self._exchange.attempt.reads)


def _decoder(attempt: Attempt) -> Decoder:
    return Decoder(attempt.headers, asked_stream=attempt.asked_stream, path=attempt.path, unpacks=False)


def _compressed(attempt: Attempt) -> bool:
    return attempt.headers.get("content-encoding", "identity") not in {"", "identity"}


def _text(attempt: Attempt, decoder: Decoder) -> Any:
    """A body that gives no value: null, or what is no JSON."""
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
    """The request as an exception of the SDK's carries it."""
    return httpx2.Request(attempt.method, url + attempt.path)


def response_of(attempt: Attempt, url: str) -> httpx2.Response:
    """Status, headers and body so far, as an exception of the SDK's carries them."""
    headers = {name: value for name, value in attempt.headers.items() if name != "content-encoding"}
    return httpx2.Response(
        attempt.status or 0, headers=headers, content=_body(attempt), request=request_of(attempt, url)
    )
