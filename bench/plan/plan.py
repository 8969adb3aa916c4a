"""What will be run, in which order, from which seed: a plain value, decided before the first request.

The unit is the pair: a streamed and a blocking trial of the same ask. One at a time, they are next to each other, their
order a seeded coin, and cells are interleaved in randomised blocks (one pair of every cell a block), so that drift hits
all alike. Under load (several concurrent trials, or a rate) one delivery would change what the other meets. There a
pair is the same place in two segments: one of each delivery, with a drain after each, with the same asks and, in open
loop, the same arrivals. The two take turns in going first. Both trials of an A/A pair are neighbours in one segment.

A run checks itself in between. In A/A pairs one delivery stands in both places of the pair, so any difference that they
show is the method's own. Calibration cells read streams of known send times, at the load of all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from typing import Any, Literal, TypeVar

from bench.core.ask import nonce_text
from bench.core.load import Load, parse_load
from bench.core.trial import Delivery
from bench.plan.arrivals import Arrivals, offsets
from bench.plan.share import WHOLE, Share

Phase = Literal["warmup", "ramp", "measure", "aa", "calibrate"]
Arm = Literal["a", "b"]
Client = Literal["sdk", "wire"]
BOTH: tuple[Delivery, Delivery] = ("streamed", "blocking")
ARMS: tuple[Arm, Arm] = ("a", "b")
ROUNDS = 2
"""Rounds of segments of a cell under load: streamed, blocking, blocking, streamed, or the reverse."""
FEWEST_CHECKED = 10
"""Pairs from which on a run checks itself: with fewer, the checks would say nothing and take as long as the run."""
FEWEST_AA = 11
"""A/A pairs of a whole run: with fewer there is no two-sided 99.9 % interval (2 · ½ⁿ ≤ 0.001)."""


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """One row of the report: scenario × parameters × api × target × model × client × load."""

    cell: int
    scenario: str
    params: str
    api: str
    target: str
    host: str
    simulated: bool
    model: str
    client: str
    load: str
    description: str
    useful: str
    """What "first useful" means in this scenario, in a sentence."""
    deliveries: tuple[Delivery, ...]
    asks: int
    """Number of different prompts, used in turn."""
    role: Literal["scenario", "calibration"] = "scenario"
    """`calibration`: streams of known send times; no row of the report."""

    @property
    def level(self) -> Load:
        """Number of concurrent trials, or of trials that begin in a second."""
        return parse_load(self.load)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTrial:
    """One trial before it is run."""

    trial_id: int
    cell: int
    pair: int
    block: int
    order: int
    phase: Phase
    delivery: Delivery
    ask: int
    nonce: str
    seed: int
    """Shared by the pair; the scenario gets it as `ask.seed`."""
    arm: Arm | None = None
    """Place in an A/A pair: `a` stands where the streamed trial would, `b` where the blocking one would."""
    due: int | None = None
    """Open loop: when it is to begin, in ns from the start of its segment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Trials of a cell in one delivery that run under load, with a drain after them; they follow from these values."""

    block: int
    cell: int
    phase: Phase
    delivery: Delivery
    order: int
    """0 or 1: the first or the second of the two that make pairs. A segment of A/A pairs has both trials of each."""
    first_trial: int
    first_pair: int
    first_number: int
    """Of its first pair within the cell: which prompt it starts with."""
    count: int
    """Most trials that the segment has."""
    seconds: float | None
    """Closed loop: none is begun any more after this."""
    seed: int
    """Of its asks and arrivals; the other one of the two has the same."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Trials that run together: one pair (a warm-up: one cell's), or a segment."""

    cell: PlannedCell
    phase: Phase
    load: Load
    size: int
    """Trials, at most."""
    pairs: Sequence[Sequence[PlannedTrial]] = ()
    """One at a time: what is begun as a whole or not at all."""
    segment: Segment | None = None
    ramp_s: float = 0.0
    arrivals: Arrivals = "poisson"
    share: Share = WHOLE
    """Of a segment that several workers carry: the part of this one."""

    @property
    def slots(self) -> int | None:
        """The number of concurrent trials here in closed loop; None in open loop."""
        return None if self.load.open_loop else self.share.part(self.load.concurrency or 1)

    def units(self) -> Iterator[Sequence[PlannedTrial]]:
        """Yield the trials in their order, grouped as they are begun: pairs one at a time, single trials under load."""
        if self.segment is None:
            yield from self.pairs
            return
        for place, trial in enumerate(segment_trials(self.segment, self.cell, self.arrivals, self.ramp_s)):
            if self.share.has(place):
                yield (trial,)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All trials in their order. `hash` is the same for the same inputs and seed."""

    seed: int
    pairs: int
    warmup: int
    cells: tuple[PlannedCell, ...]
    trials: tuple[PlannedTrial, ...]
    """Of the cells that run one trial at a time."""
    segments: tuple[Segment, ...] = ()
    """Of the others."""
    arrivals: Arrivals = "poisson"
    ramp_s: float = 0.0

    @property
    def hash(self) -> str:
        """SHA-256 of the plan as stored."""
        return sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    @property
    def size(self) -> int | None:
        """The number of trials; None where time ends a segment."""
        if any(segment.seconds is not None for segment in self.segments):
            return None
        return len(self.trials) + sum(segment.count for segment in self.segments)

    @property
    def seconds(self) -> float:
        """The seconds that the segments take by their schedules; no more can be said before answers come."""
        return sum(map(self._seconds, self.segments))

    @property
    def open_loop_only(self) -> bool:
        """True where every trial is in open loop, so that `seconds` is nearly the whole time."""
        return not self.trials and all(self.cells[segment.cell].level.open_loop for segment in self.segments)

    def _seconds(self, segment: Segment) -> float:
        rate = self.cells[segment.cell].level.rate
        if rate is None:
            return segment.seconds or 0.0
        return segment.count / rate + (self.ramp_s / 2 if segment.phase == "measure" else 0.0)

    @property
    def phases(self) -> set[Phase]:
        """The phases of the plan."""
        return {trial.phase for trial in self.trials} | {segment.phase for segment in self.segments}

    def to_json(self) -> dict[str, Any]:
        """Return the values of plan.json: trials and segments by column."""
        return {
            **{name: getattr(self, name) for name in ("seed", "pairs", "warmup", "arrivals", "ramp_s")},
            "cells": [asdict(cell) for cell in self.cells],
            "loads": list(dict.fromkeys(cell.load for cell in self.cells)),
            "trials": _columns(PlannedTrial, self.trials),
            "segments": _columns(Segment, self.segments),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Plan:
        """Make the plan from the values of `to_json`; other keys are passed over."""
        cells = ({**cell, "deliveries": tuple(cell["deliveries"])} for cell in stored["cells"])
        return cls(
            **{name: stored[name] for name in ("seed", "pairs", "warmup", "arrivals", "ramp_s")},
            cells=tuple(PlannedCell(**cell) for cell in cells),
            trials=tuple(_rows(PlannedTrial, stored["trials"])),
            segments=tuple(_rows(Segment, stored["segments"])),
        )

    def groups(self) -> Iterator[Group]:
        """Yield the trials that run together, in their order: first those one at a time, then the segments."""
        yield from self._sequential_groups()
        for segment in self.segments:
            cell = self.cells[segment.cell]
            yield Group(
                cell=cell,
                phase=segment.phase,
                load=cell.level,
                size=segment.count,
                segment=segment,
                ramp_s=self.ramp_s if segment.phase == "measure" else 0.0,
                arrivals=self.arrivals,
            )

    def _sequential_groups(self) -> Iterator[Group]:
        together: list[PlannedTrial] = []
        for trial in self.trials:
            place = (trial.block, trial.cell, trial.phase)
            if together and place != (together[0].block, together[0].cell, together[0].phase):
                yield self._group(together)
                together = []
            together.append(trial)
        if together:
            yield self._group(together)

    def _group(self, trials: Sequence[PlannedTrial]) -> Group:
        pairs: dict[int, list[PlannedTrial]] = {}
        for trial in trials:
            pairs.setdefault(trial.pair, []).append(trial)
        cell = self.cells[trials[0].cell]
        return Group(cell=cell, phase=trials[0].phase, load=cell.level, size=len(trials), pairs=tuple(pairs.values()))


def _columns(kind: type[PlannedTrial | Segment], rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in kind.__dataclass_fields__}


_Row = TypeVar("_Row", PlannedTrial, Segment)


def _rows(kind: type[_Row], columns: Mapping[str, Sequence[Any]]) -> Iterator[_Row]:
    for values in zip(*columns.values(), strict=True):
        yield kind(**dict(zip(columns, values, strict=True)))


def segment_trials(segment: Segment, cell: PlannedCell, arrivals: Arrivals, ramp_s: float) -> Iterator[PlannedTrial]:
    """Yield the trials of a segment one after the other; none is kept."""
    rate, due = cell.level.rate, None
    times = offsets(rate, arrivals, segment.seed, count=segment.count, ramp_s=ramp_s) if rate else None
    for place in range(segment.count):
        if times is not None:
            due = next(times)
        pair, order, arm = place, segment.order, None
        if segment.phase == "aa":  # next to each other, so that nothing but a coin tells its trials apart
            pair, order = divmod(place, 2)
            arm = ARMS[order ^ (_bits(segment.seed, pair, "coin") & 1)]
        number = segment.first_number + pair
        yield PlannedTrial(
            trial_id=segment.first_trial + place,
            cell=segment.cell,
            pair=segment.first_pair + pair,
            block=segment.block,
            order=order,
            phase=segment.phase,
            delivery=segment.delivery,
            ask=number % cell.asks,
            nonce=nonce_text(_bits(segment.seed, number, segment.delivery, arm)),
            seed=_bits(segment.seed, number) & (2**31 - 1),
            arm=arm,
            due=due,
        )


def _bits(*parts: object) -> int:
    """Derive 64 bits from these values, cheaper than a generator for each trial."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest())
