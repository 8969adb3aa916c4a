"""Connection pools of one client: one that all trials share, and one for each trial that begins cold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from bench.core.trial import Trial

Pool = TypeVar("Pool")


class Pools(Generic[Pool]):
    """Makes them as they are needed; whoever takes one away closes it."""

    def __init__(self, new: Callable[[], Pool]) -> None:
        self._new, self._shared = new, new()
        self._cold: dict[int, Pool] = {}
        """By trial: of those that begin without an open connection."""

    def of(self, cold: Trial | None) -> Pool:
        """The pool that all share, or this cold trial's own."""
        if cold is None:
            return self._shared
        if cold.trial_id not in self._cold:
            self._cold[cold.trial_id] = self._new()
        return self._cold[cold.trial_id]

    def take(self, trial: Trial) -> Pool | None:
        """The pool that only this trial could use, if it had one: no longer kept here."""
        return self._cold.pop(trial.trial_id, None)

    def __iter__(self) -> Iterator[Pool]:
        return iter((self._shared, *self._cold.values()))
