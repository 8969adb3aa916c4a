"""What the null server answers: the writes of one answer, rendered once and shared by all its streams."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat

import orjson

from tests.support.scripted import LAST_CHUNK, chunk

MODEL = "sim-1"
"""The only one served: the frames are rendered by the simulator's code, and are the same for every request."""
BLOCK = 65_536
"""About the size of a write when an answer is flooded."""
DELTA = ".delta"


@dataclass(frozen=True)
class Writes:
    """The parts of an answer, each for one `send`; `begin` and the first of `parts` follow the head."""

    begin: bytes
    """What comes at once: `response.created`, `response.in_progress`."""
    parts: Sequence[bytes]
    """Then one each interval; the first delta is in the first, behind the two events that open its item."""
    end: bytes
    """Right behind the last of them: what repeats the whole text, and the end of the body."""
    blocking: bytes
    """The body of a blocking answer."""


@cache
def writes(events: int, *, flood: bool) -> Writes:
    """An answer of so many deltas, one token each. In a flood many events share a write, never a chunk."""
    from bench.simulator.answers import answer_to  # a yardstick's process knows this module, and shall stay small
    from bench.simulator.control import Control
    from bench.simulator.replies.responses import Reply
    from bench.simulator.requests.responses import parse_request

    request = parse_request(orjson.dumps({"model": MODEL, "input": "Hello", "stream": True}))
    answer = answer_to(request, control=Control(), turn=None, seed=0, default_tokens=events)
    reply = Reply(request, answer)
    frames = [(type_, chunk(data)) for _, type_, data in reply.frames(zip(repeat(1), range(events), strict=False))]
    places = [place for place, (type_, _) in enumerate(frames) if type_.endswith(DELTA)]
    first, last = places[0], places[-1]
    bodies = [data for _, data in frames]
    parts = [b"".join(bodies[2 : first + 1]), *bodies[first + 1 : last + 1]]
    return Writes(
        begin=b"".join(bodies[:2]),
        parts=blocks(parts) if flood else parts,
        end=b"".join(bodies[last + 1 :]) + LAST_CHUNK,
        blocking=orjson.dumps(reply.body()),
    )


def blocks(parts: Sequence[bytes]) -> list[bytes]:
    """The same bytes in writes of about `BLOCK`."""
    each = max(1, BLOCK // len(parts[-1]))
    return [b"".join(parts[start : start + each]) for start in range(0, len(parts), each)]


@dataclass(frozen=True)
class Timing:
    """When an answer's parts leave, counted from the moment in which its request has been read."""

    events: int = 100
    """Deltas."""
    interval_ms: float = 10
    """Between two deltas; 0: as fast as the socket takes them, many in a write."""
    ttft_ms: tuple[float, float] = (100, 200)
    """The first delta, uniform between these: streams shall not beat in time."""

    def first_ns(self, rng: random.Random) -> int:
        """When the first delta is due."""
        return int(rng.uniform(*self.ttft_ms) * 1e6)

    @property
    def interval_ns(self) -> int:
        """Between two deltas."""
        return int(self.interval_ms * 1e6)
