"""The settings of a run, and their defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.load import Load
from bench.core.target import Target
from bench.plan.arrivals import Arrivals
from bench.plan.config import Config
from bench.plan.plan import FEWEST_CHECKED, ROUNDS
from bench.plan.selection import Client

if TYPE_CHECKING:
    from bench.core.scenario import Api
from typing import TYPE_CHECKING

DEFAULT_OUTPUT_TOKENS = 300
"""Asked of a real endpoint when no length is given: without a cap nobody can say what a run costs."""
DEFAULT_PAIRS = 36
DEFAULT_RETRIES = 2
MOST_PAIRS = 400
"""With a precision and no number of pairs: at most so many."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the command line of `bench run` said, with its defaults."""

    arguments: Sequence[str] = ()
    tags: Sequence[str] = ()
    api: Api = "responses"
    """Whose core set is run when nothing is named."""
    params: Sequence[str] = ()
    """`SCENARIO.KEY=VALUE,…`, as typed."""
    targets: Sequence[str] = ()
    base_url: str | None = None
    models: Sequence[str] = ()
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    prompts: str | None = None
    output_tokens: int | None = None
    pairs: int | None = None
    """As given; `most_pairs` is what the plan has."""
    warmup: int = 3
    delivery: str = "both"
    clients: Sequence[Client] = ("sdk",)
    concurrency: Sequence[int] = ()
    """Closed loop, each a load of its own; `loads` is what the plan has."""
    rates: Sequence[float] = ()
    """Open loop: trials a second, each a load of its own."""
    arrivals: Arrivals = "poisson"
    ramp: float = 0.0
    """Seconds over which the load of a segment comes up."""
    duration: float | None = None
    """Seconds for which each cell under load is measured in each delivery."""
    requests: int | None = None
    """So many trials instead."""
    max_in_flight: int = 500
    slos: Sequence[str] = ()
    """`ttft=500ms`, as typed."""
    events: float = 1.0
    """Share of the trials whose events and pieces are stored."""
    workers: int = 1
    scheduler: str | None = None
    input_tokens: str | None = None
    """Lengths of made-up prompts, as typed."""
    shared_prefix: float = 0.0
    retries: int | None = None
    """As given; `max_retries` is what is asked of the SDK."""
    deadline: float = 120.0
    seed: int | None = None
    profile: str = "quick"
    faults: Sequence[str] = ()
    """`KIND[:VALUE]=PROBABILITY`, as typed."""
    script: Path | None = None
    memory: bool = True
    self_check: bool = True
    """A/A pairs and calibration trials in between."""
    precision: float | None = None
    """Stop a cell when its intervals are as narrow: a fraction."""
    budgets: Sequence[str] = ()
    """`10m`, `200k-tokens`, `2usd`, as typed."""
    store_text: bool = False
    out: Path = Path("reports")
    name: str | None = None
    dry_run: bool = False
    yes: bool = False
    plugins: Sequence[Path] = ()
    plugins_dirs: Sequence[Path] = ()
    config: Config = field(default_factory=Config)

    @property
    def most_pairs(self) -> int:
        """Pairs of each cell, at most: as asked for, else 36, or 400 where a precision ends it earlier."""
        return self.pairs or (DEFAULT_PAIRS if self.precision is None else MOST_PAIRS)

    @property
    def loads(self) -> Sequence[Load]:
        """Each level of load: one at a time where none was asked for."""
        closed = self.concurrency or (() if self.rates else (1,))
        return [*(Load(concurrency=number) for number in closed), *(Load(rate=rate) for rate in self.rates)]

    @property
    def shared(self) -> bool:
        """Do several processes measure, or others than this one?"""
        return self.workers > 1 or self.scheduler is not None

    @property
    def max_retries(self) -> int:
        """Hidden retries of the SDK: 2 as in every app, none beside the client `wire`, which makes one attempt."""
        return self.retries if self.retries is not None else 0 if "wire" in self.clients else DEFAULT_RETRIES

    @property
    def rounds(self) -> int:
        """Rounds of each cell under load: small ones where the run may end early, or one delivery would have it all.

        That is 18 trials or seconds in each. With a ramp, which comes in each, a budget does not divide it further.
        """
        if self.precision is None and (not self.budgets or self.ramp):
            return ROUNDS
        most = max(self.most_pairs, self.requests or 0, int(self.duration or 0))
        return max(ROUNDS, most * ROUNDS // DEFAULT_PAIRS)


def calibrates(settings: Settings) -> bool:
    """Will the plan have calibration streams? They take the simulator, whatever the targets are."""
    return settings.self_check and settings.most_pairs >= FEWEST_CHECKED and not settings.shared


def output_tokens(target: Target, settings: Settings) -> int | None:
    """The length to ask of this target; None: the simulator's profile says."""
    return settings.output_tokens or (None if target.simulated else DEFAULT_OUTPUT_TOKENS)


FIRST_LOOK = 30
"""Pairs of a cell before its width is looked at: with fewer an interval may be narrow by chance."""
