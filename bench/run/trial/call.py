"""Calling a scenario in one delivery: the one place that knows of asynchronous and synchronous functions."""

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
"""For this long a thread that was told to end is waited for. What sleeps longer, or waits on a socket that is not the
client's, is left behind: it can do no more than end."""
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
    """Call the scenario's function and take all that it gives: the result of `blocking`; None for `streamed`.

    `on_piece` gets each piece at its yield, `clock` is around the function and nothing else; both are used in the
    thread that runs it. Cancelled, a synchronous function is cut off from its client's sockets, so that it ends.
    `threaded=False` runs it in this thread, where nothing else is going on.
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
                    lease.check()  # nobody wants it any more
                on_piece(piece)
    return None


async def in_thread(work: Callable[[], T]) -> T:
    """Run it in a thread of its own, in a copy of this context. Cancelled, its connections are cut.

    A daemon: neither a sleep that cannot be cut nor a plugin that hangs keeps the process from ending.
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
