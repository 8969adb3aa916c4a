"""Call a scenario in one delivery: the one place that knows of asynchronous and synchronous functions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, aclosing, closing, nullcontext
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar, cast

from bench.clients.sdk.lease import Lease, current_lease
from bench.core.scenario import Ask, Scenario, is_sync
from bench.core.trial import Delivery

GRACE_S = 1.0
"""How long a cancelled thread is waited for. One that sleeps longer, or waits on a socket of its own, is left behind:
it can do no more than end."""
T = TypeVar("T")
OnPiece = Callable[[Any], None]


async def consume(
    scenario: Scenario,
    delivery: Delivery,
    client: Any,
    ask: Ask,
    on_piece: OnPiece = lambda _: None,
    *,
    clock: AbstractContextManager[Any] | None = None,
    threaded: bool = True,
) -> Any:
    """Call the scenario's function and take all that it yields. Return the result of `blocking`, None for `streamed`.

    `on_piece` gets each piece at its yield; `clock` encloses the function and nothing else. Both run in the function's
    thread. Cancelled, a synchronous function loses its client's sockets, so that it ends. `threaded=False` calls a
    synchronous function in this thread, where nothing else is going on.
    """
    around = clock or nullcontext()
    if is_sync(scenario):
        work = partial(_consume_sync, scenario, delivery, client, ask, on_piece, around)
        return await in_thread(work) if threaded else work()
    with around:
        if delivery == "blocking":
            return await scenario.blocking(client, ask) if scenario.blocking else None
        async with aclosing(cast("AsyncGenerator[Any]", scenario.streamed(client, ask))) as pieces:
            async for piece in pieces:
                on_piece(piece)
    return None


def _consume_sync(
    scenario: Scenario,
    delivery: Delivery,
    client: Any,
    ask: Ask,
    on_piece: OnPiece,
    around: AbstractContextManager[Any],
) -> Any:
    lease = current_lease.get()
    with around:
        if delivery == "blocking":
            return scenario.blocking(client, ask) if scenario.blocking else None
        with closing(cast("Generator[Any]", scenario.streamed(client, ask))) as pieces:
            for piece in pieces:
                if lease:
                    lease.check()  # raises once the trial is cancelled
                on_piece(piece)
    return None


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own, in a copy of this context. Cancelled, its connections are cut.

    The thread is a daemon: neither a long sleep nor a plugin that hangs keeps the process from ending.
    """
    lease, done = Lease(), Future[T]()
    done.set_running_or_notify_cancel()
    threading.Thread(target=copy_context().run, args=(_run, work, lease, done), daemon=True).start()
    waiting = asyncio.wrap_future(done)
    waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # seen, if nobody waits any more
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        lease.cut()
        await asyncio.wait([waiting], timeout=GRACE_S)
        raise


def _run(work: Callable[[], T], lease: Lease, done: Future[T]) -> None:
    current_lease.set(lease)
    try:
        result = work()
    except StopIteration as error:  # a future does not take it
        done.set_exception(RuntimeError("the scenario raised StopIteration").with_traceback(error.__traceback__))
    except BaseException as error:  # noqa: BLE001  (it is raised again where it is waited for)
        done.set_exception(error)
    else:
        done.set_result(result)
