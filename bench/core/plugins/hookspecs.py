"""The four hooks of bench. The built-in scenarios, targets and reporters come through the same four."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bench.core.results.summary import Reporter
    from bench.core.scenario import Scenario
    from bench.core.target import Target
    from bench.core.trial import Trial

hookspec = pluggy.HookspecMarker("bench")
hookimpl = pluggy.HookimplMarker("bench")


@hookspec
def register_scenarios() -> Iterable[Scenario]:  # type: ignore[empty-body]
    """Yield the scenarios this plugin brings."""


@hookspec
def register_targets() -> Iterable[Target]:  # type: ignore[empty-body]
    """Yield the targets (endpoints) this plugin brings."""


@hookspec
def register_reporters() -> Iterable[Reporter]:  # type: ignore[empty-body]
    """Yield the reporters this plugin brings: each turns a Summary into the text of one file."""


@hookspec
def observe(trial: Trial) -> AbstractAsyncContextManager[None] | None:
    """Return a context manager to be entered before the trial's origin and left after its end, or None."""
