"""Every way in which the tests' servers deliver answers, by name.

Half of them are streaming, however odd they look: slow to begin, fast, irregular, two tokens a step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.parts.pieces import (
    Pieces,
    all_at_once,
    arguments_whole,
    as_it_comes,
    cut_off,
    every,
    in_two_writes,
    replayed,
    sized,
    two_by_two,
    with_half_a_frame,
    without_end,
)

CHANCE = random.Random(1)  # noqa: S311  (no secret)


@dataclass(frozen=True, kw_only=True)
class Way:
    """How answers are delivered."""

    pieces: Pieces = as_it_comes
    """What is written of a stream's frames, and when."""
    late: bool = False
    """The headers of a stream wait for its first piece."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further or other ones of a stream."""
    control: Callable[[], Mapping[str, Any]] = dict
    """What the simulator is asked for, made anew for each request."""
    keep_alive: bool = True
    """Without it each answer ends its connection, and says so."""
    nodelay: bool = True
    """Without it Nagle's algorithm holds a small write while an earlier one is not acknowledged."""
    streams: bool = True
    """Without it `stream: true` is passed over."""
    refusal: tuple[int, Mapping[str, str]] | None = None
    """Status and headers that each POST gets instead of an answer."""


def noisy_first() -> dict[str, Any]:
    """A wait before the first token that is another one each time."""
    return {"ttft_ms": CHANCE.uniform(100, 800)}


def irregular() -> dict[str, Any]:
    """Gaps that vary much, and in seven of ten answers a pause of 300 ms somewhere; nothing is held back."""
    return {"jitter": 0.8, "seed": CHANCE.randrange(1000), "faults": ["stall:300=0.7"]}


STREAMING: Mapping[str, Way] = {
    "plain": Way(),
    "accel": Way(headers={"x-accel-buffering": "no"}),
    "closing": Way(keep_alive=False),
    "slow_first": Way(control=lambda: {"ttft_ms": 1500}),
    "noisy_first": Way(control=noisy_first),
    "two_by_two": Way(pieces=two_by_two),
    "fast": Way(control=lambda: {"token_ms": 1.5}),
    "irregular": Way(control=irregular),
    "nagle": Way(pieces=in_two_writes, nodelay=False),
}
"""All of these are streaming. `nagle` too, to a Linux client on loopback: its kernel acknowledges whatever it reads at
once, so that all it makes is one lump of 40 ms at the beginning, and that not always."""
LUMPS: Mapping[str, Way] = {
    "every_40_ms": Way(pieces=every(0.04)),
    "every_250_ms": Way(pieces=every(0.25)),
    "sized_4k": Way(pieces=sized(4096)),
    "sized_16k": Way(pieces=sized(16384)),
}
"""Bursty. `every_40_ms` is what Nagle's algorithm makes with a client that delays its acknowledgements by 40 ms."""
HELD: Mapping[str, Way] = {
    "late": Way(pieces=all_at_once, late=True),
    "at_once": Way(pieces=all_at_once),
    "replayed": Way(pieces=replayed(0.002)),
    "json": Way(streams=False),
    "arguments_whole": Way(pieces=arguments_whole),
}
"""Generated first: with headers when it is done, with headers at once, replayed frame by frame, not streamed at all;
and one that does this to the arguments of function calls alone."""
BROKEN: Mapping[str, Way] = {
    "text_plain": Way(headers={"content-type": "text/plain; charset=utf-8"}),
    "without_end": Way(pieces=without_end),
    "half_a_frame": Way(pieces=with_half_a_frame),
    "cut_off": Way(pieces=cut_off),
    "limited": Way(refusal=(429, {})),
    "limited_for_1_s": Way(refusal=(429, {"retry-after": "1"})),
}
"""No whole stream, or none at all; blocking answers are in order but for the limits."""
WAYS: Mapping[str, Way] = {**STREAMING, **LUMPS, **HELD, **BROKEN}
