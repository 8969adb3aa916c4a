"""Enter and leave `Scenario.setup`, outside of the trial's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from bench.clients.sdk.attempt_log import recording_paused
from bench.core.errors import BenchError
from bench.core.scenario import Ask, Scenario
from bench.core.trial import Deadline, SetupFault
from bench.run.trial.call import in_thread


@asynccontextmanager
async def scenario_setup(scenario: Scenario, client: Any, ask: Ask, seconds: float) -> AsyncIterator[Ask]:
    """Enter the scenario's `setup` for the block and yield the ask with its resource.

    Entering and leaving have `seconds` each; then `Deadline` is raised. Errors of `setup` are raised as `SetupFault`.
    """
    if scenario.setup is None:
        yield ask
        return
    with _faults(), recording_paused():
        async with _deadline("setup", seconds):
            manager = _as_async(scenario.setup(client, ask))
            resource = await manager.__aenter__()
    try:
        yield replace(ask, resource=resource)
    finally:
        with _faults(), recording_paused():
            async with _deadline("leaving setup", seconds):
                await manager.__aexit__(None, None, None)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (Deadline, BenchError):
        raise
    except Exception as error:
        raise SetupFault(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def _deadline(what: str, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as scope:
            yield
    except TimeoutError as error:
        if scope.expired():
            raise Deadline(f"{what} not done after {seconds:g} s (--deadline)") from error
        raise


def _as_async(manager: Any) -> AbstractAsyncContextManager[Any]:
    """Return an async context manager; an ordinary one, of a synchronous scenario, runs in a thread."""
    if hasattr(manager, "__aenter__"):
        return manager  # type: ignore[no-any-return]
    if hasattr(manager, "__enter__"):
        return _in_thread(manager)
    raise TypeError(
        "`setup` must give a context manager: put @asynccontextmanager above it (@contextmanager for a plain one)"
    )


@asynccontextmanager
async def _in_thread(manager: AbstractContextManager[Any]) -> AsyncIterator[Any]:
    resource = await in_thread(manager.__enter__)
    try:
        yield resource
    finally:
        await in_thread(lambda: manager.__exit__(None, None, None))
