"""The client `wire`: `responses.create` and `chat.completions.create` over connections that stamp each read.

The request of a deferred trial is sent and read by the load generator, another process; the scenario goes through the
events once the answer is complete. The request of a live trial is sent and read in this process. Each request is one
attempt over HTTP/1.1 without a proxy.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any, Self

from bench.clients.decode.decode import CHAT_PATH
from bench.clients.http.pool import Pool
from bench.clients.load_generator.process import Shooter, ShooterLost
from bench.clients.sdk.attempt_log import current_trial, is_recording
from bench.clients.wire.errors import check_direct, not_deferred, not_offered
from bench.clients.wire.request import Address, Call, arguments_of, make_call
from bench.clients.wire.stream import Complete, Exchange, Replay, Stream, Underway, await_headers, whole_answer
from bench.core.trial import Attempt, Shed, Trial

RESPONSES_PATH = "/responses"


class WireClient:
    """The client that a scenario's functions get, and the log of their attempts.

    The runner calls `attach` before a deferred trial's function is entered and `forget` after every trial.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str,
        headers: Mapping[str, str],
        own_environment: bool = False,
        direct: bool = False,
        shooter: Shooter | None = None,
        deadline_s: float,
    ) -> None:
        """`own_environment`: this is OpenAI itself, so OPENAI_ORG_ID and the like apply. `direct`: use no proxy.

        Without a `shooter` every trial is live. Raises `BenchError` if the environment asks for a proxy.
        """
        if not direct:
            check_direct(base_url)
        self.shooter = shooter
        self.orphans: list[Attempt] = []
        """Requests that belong to no trial; after preflight there must be none."""
        self._deadline_s = deadline_s
        self._address = Address(base_url, key, {**(_openai_headers() if own_environment else {}), **headers})
        self._pool: Pool | None = None
        self._replays: dict[int, Replay] = {}
        """By trial id, for deferred trials."""
        self._live: dict[int, list[Underway]] = {}
        """By trial id, for live trials."""
        self.responses = _Route(self, "responses", RESPONSES_PATH)
        self.chat = _Offers("chat", completions=_Route(self, "chat.completions", CHAT_PATH))

    def __getattr__(self, name: str) -> Any:
        raise _missing(f"client.{name}", name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close this process's own connections; the load generator closes its own."""
        if self._pool is not None:
            await self._pool.aclose()

    def attach(self, trial: Trial) -> None:
        """Make a deferred trial's clock follow the reads of its answer. Called before its function is entered."""
        replay = self._replays[trial.trial_id] = Replay(trial)
        trial.clock = replay.now

    def forget(self, trial: Trial) -> None:
        """End the trial: cancel what it left running, and record none of its later requests.

        Of a deferred trial the times become true ones, and an error that it swallowed becomes its `error`.
        """
        trial.over = True
        for underway in self._live.pop(trial.trial_id, ()):
            if not underway.ended:
                underway.leave()
        if replay := self._replays.pop(trial.trial_id, None):
            replay.settle()

    async def close_cold(self, trial: Trial) -> None:
        """Do nothing: a cold connection ends with its exchange."""

    async def create(self, call: Call) -> Any:
        """Send the call; return the answer, or its stream. Raises what the SDK raises."""
        trial = current_trial.get()
        if trial is not None and trial.over:  # something that the scenario left running
            trial = None
        attempt = self._new_attempt(call, trial)
        request = self._address.request(call, attempt.client_id)
        replay = self._replays.get(trial.trial_id) if trial else None
        if trial is None or replay is None or self.shooter is None:
            return await self._live_answer(trial, request, attempt)
        if len(trial.attempts) > 1:
            trial.attempts.remove(attempt)
            replay.fault = not_deferred(trial.scenario, "makes several requests")
            raise replay.fault
        return await self._deferred_answer(trial, replay, request, attempt)

    def _new_attempt(self, call: Call, trial: Trial | None) -> Attempt:
        """Record a new attempt in its trial, or among the orphans."""
        attempts = trial.attempts if trial else self.orphans
        attempt = Attempt(
            request=len(attempts) if trial else 0,
            number=0,
            client_id=f"bench-{uuid.uuid4().hex}",
            method="POST",
            path=call.path.partition("?")[0],
            retry_count=0,
            asked_stream=call.stream,
            sent=call.body,
            t_start=perf_counter_ns(),
        )
        if is_recording():
            attempts.append(attempt)
        return attempt

    async def _deferred_answer(self, trial: Trial, replay: Replay, request: bytes, attempt: Attempt) -> Any:
        assert self.shooter is not None  # noqa: S101  (who calls has looked)
        shot = self.shooter.fire(
            self._address.server,
            request,
            attempt,
            due=trial.due,
            deadline_s=self._deadline_s,
            cold=trial.cold,
            on_fired=trial.on_fired,
            on_read=trial.on_read,
        )
        try:
            await shot.wait()
        except ShooterLost as error:
            replay.fault = error
            raise
        replay.begin(shot.t_origin)
        if shot.shed:
            trial.attempts.remove(attempt)  # it was never sent
            replay.fault = Shed("more were in flight than --max-in-flight allows when it was due")
            raise replay.fault
        exchange = Complete(attempt, replay)
        answer = await self._answer(exchange)
        replay.stream = answer if isinstance(answer, Stream) else None
        return answer

    async def _live_answer(self, trial: Trial | None, request: bytes, attempt: Attempt) -> Any:
        if self._pool is None:
            self._pool = Pool(self._address.server)
        exchange = Underway(attempt)
        cold = trial is not None and trial.cold and is_recording()
        exchange.handle = self._pool.exchange(
            request, attempt, deadline_ns=None, cold=cold, on_read=exchange.wake, on_end=exchange.end
        )
        if trial is not None:
            self._live.setdefault(trial.trial_id, []).append(exchange)
        try:
            return await self._answer(exchange)
        except BaseException:
            exchange.leave()
            raise

    async def _answer(self, exchange: Exchange) -> Any:
        await await_headers(exchange, self._address.url)
        if exchange.attempt.asked_stream:
            return Stream(exchange, self._address.url)
        return await whole_answer(exchange, self._address.url)


class _Offers:
    """A namespace of the client with only some of the SDK's attributes."""

    def __init__(self, place: str, **offered: Any) -> None:
        self._place = place
        self.__dict__.update(offered)

    def __getattr__(self, name: str) -> Any:
        raise _missing(f"client.{self._place}.{name}", name)


class _Route(_Offers):
    """Stands for `client.responses` or `client.chat.completions`: it has their `create`."""

    def __init__(self, client: WireClient, place: str, path: str) -> None:
        super().__init__(place)
        self._client, self._end = client, path

    async def create(self, **arguments: Any) -> Any:
        """Do what the SDK's `create` does. `timeout` is not supported: the trial's deadline holds."""
        path = self._client._address.path + self._end
        return await self._client.create(make_call(path, arguments_of(chat=self._end == CHAT_PATH), arguments))


def _missing(place: str, name: str) -> Exception:
    """Return the exception for a missing attribute; names with `_` are Python's own lookups."""
    return AttributeError(name) if name.startswith("_") else not_offered(place)


def _openai_headers() -> dict[str, str]:
    """Return the headers that the SDK takes from the environment for OpenAI itself, except the key."""
    named = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}
    lines = (line.partition(":") for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n"))
    own = {name.strip(): value.strip() for name, colon, value in lines if colon}
    return {name: value for name, variable in named.items() if (value := os.environ.get(variable))} | own
