"""Messages of a run as its live view gets them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from bench.core.trial import Delivery
from bench.plan.plan import BOTH, PlannedTrial
from bench.run.liveview.estimates import FiguresCache
from bench.run.liveview.messages import encode_trial
from bench.run.liveview.screen import page
from bench.run.liveview.state import State
from tests.support.harness import cell_of
from tests.support.scenarios import TEXT

MS = 1_000_000


def cell(number: int = 0, **other: Any) -> dict[str, Any]:
    known = {"pairs": 20, "deliveries": BOTH, "simulated": True, "alone": True}
    return {"number": number, "label": f"cell{number}", **known, **other}


def begin(*cells: Mapping[str, Any], total: int | None = 80, **other: Any) -> dict[str, Any]:
    known = {"what": "trials", "most": False, "seconds": None, "t": 100.0}
    return {"kind": "begin", "total": total, "cells": list(cells), **known, **other}


def so_far(*trials: Sequence[Any], done: int | None = None, **other: Any) -> dict[str, Any]:
    return {"kind": "so_far", "done": len(trials) if done is None else done, "text": "", "trials": trials, **other}


def trial(
    pair: int,
    delivery: Delivery,
    total_ms: float = 400.0,
    useful_ms: float | None = 120.0,
    *,
    number: int = 0,
    status: str = "ok",
    phase: str = "measure",
    block: int = 0,
    result: str = "same",
) -> Sequence[Any]:
    """As the feed sends it, made from a row of the table `trials`."""
    row = {
        "status": status,
        "phase": phase,
        "delivery": delivery,
        "result_sha256": result,
        "output_tokens": 10,
        "t_origin": pair * 1000 * MS,
        "t_end": pair * 1000 * MS + round(total_ms * MS),
        "t_first_useful": None if useful_ms is None else pair * 1000 * MS + round(useful_ms * MS),
    }
    known: dict[str, Any] = {"trial_id": 0, "order": 0, "ask": 0, "nonce": "", "seed": 0, "phase": "measure"}
    planned = PlannedTrial(cell=number, pair=pair, block=block, delivery=delivery, **known)
    return encode_trial(cell_of(TEXT, BOTH, 1, 1, number), planned, row)


def state_of(*messages: Mapping[str, Any]) -> State:
    state = State()
    for message in messages:
        state.apply(message)
    return state


def drawn(state: State, width: int = 80, height: int = 24, now: float = 142.0) -> str:
    """The view as plain text."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(page(state, FiguresCache(), now, width, height))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def pairs(times: Sequence[tuple[float, float]], **other: Any) -> list[Sequence[Any]]:
    """Trials of so many pairs: (first useful streamed, whole blocking) in ms."""
    return [
        one
        for place, (useful, whole) in enumerate(times)
        for one in (trial(place, "streamed", whole, useful, **other), trial(place, "blocking", whole, whole, **other))
    ]


TIMES = [(120.0 + i % 7, 400.0 + 3 * (i % 5)) for i in range(30)]
