"""Ways to write the frames of a stream: functions from whole frames to what is written in one go, and when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

Frames = AsyncIterator[bytes]
"""Whole frames, the empty line included, each as soon as it is there."""
Pieces = Callable[[Frames], AsyncIterator[bytes]]
"""Each of its pieces is one write to the socket and one HTTP chunk."""


class Cut(Exception):
    """Raised by a way: the connection ends here, inside the body."""


async def as_it_comes(frames: Frames) -> AsyncIterator[bytes]:
    """Each frame at once."""
    async for frame in frames:
        yield frame


async def all_at_once(frames: Frames) -> AsyncIterator[bytes]:
    """Everything in one write, when it is complete."""
    yield b"".join([frame async for frame in frames])


def replayed(seconds: float) -> Pieces:
    """When everything is complete, frame by frame at a pace that has nothing to do with that of the model."""

    async def pieces(frames: Frames) -> AsyncIterator[bytes]:
        for frame in [frame async for frame in frames]:
            yield frame
            await asyncio.sleep(seconds)

    return pieces


def every(seconds: float) -> Pieces:
    """By the clock: so often what has come since, and the rest at the end."""

    async def pieces(frames: Frames) -> AsyncIterator[bytes]:
        held: list[bytes] = []

        async def fill() -> None:
            async for frame in frames:
                held.append(frame)  # noqa: PERF401  (each has to be there as soon as it came)

        filling = asyncio.create_task(fill())
        try:
            while not filling.done() or held:
                await asyncio.wait([filling], timeout=seconds)
                if held:
                    yield b"".join(held)
                    held.clear()
            filling.result()
        finally:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)  # nobody may close the frames while they are read

    return pieces


def sized(size: int) -> Pieces:
    """By size: whenever so many bytes are there, exactly these, wherever that cuts a frame; the rest at the end."""

    async def pieces(frames: Frames) -> AsyncIterator[bytes]:
        held = b""
        async for frame in frames:
            held += frame
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
        if held:
            yield held

    return pieces


async def two_by_two(frames: Frames) -> AsyncIterator[bytes]:
    """Two frames in one write, as speculative decoding brings several tokens in one step."""
    held = b""
    async for frame in frames:
        if held:
            yield held + frame
        held = b"" if held else frame
    if held:
        yield held


async def in_two_writes(frames: Frames) -> AsyncIterator[bytes]:
    """Each frame in a short write and a longer one, as programs do that write its first line by itself."""
    async for frame in frames:
        yield frame[:6]
        yield frame[6:]


async def without_end(frames: Frames) -> AsyncIterator[bytes]:
    """Everything in front of the terminal event; the body ends as HTTP asks."""
    async for frame in frames:
        if is_terminal(frame):
            return
        yield frame


async def with_half_a_frame(frames: Frames) -> AsyncIterator[bytes]:
    """The twentieth frame is cut in its middle and closed there; all others are whole."""
    number = 0
    async for frame in frames:
        number += 1
        yield frame[: len(frame) // 2] + b"\n\n" if number == 20 else frame


async def cut_off(frames: Frames) -> AsyncIterator[bytes]:
    """Thirty frames, then the end of the connection."""
    number = 0
    async for frame in frames:
        number += 1
        if number > 30:
            raise Cut
        yield frame


async def arguments_whole(frames: Frames) -> AsyncIterator[bytes]:
    """Text as it comes; a call's arguments in one delta when they are complete."""
    held: list[bytes] = []
    async for frame in frames:
        if carries_arguments(frame):
            held.append(frame)
            continue
        if held:
            yield joined(held)
            held.clear()
        yield frame


def is_terminal(frame: bytes) -> bool:
    """Whether this is the first frame that says how the answer ended."""
    return frame.startswith(b"event: response.completed") or b'"finish_reason":"' in frame


def carries_arguments(frame: bytes) -> bool:
    """Whether the frame brings a piece of a call's arguments, in either API."""
    if frame.startswith(b"event: "):
        return frame.startswith(b"event: response.function_call_arguments.delta")
    return b'"tool_calls":[' in frame and b'"arguments":""' not in frame


def joined(frames: list[bytes]) -> bytes:
    """The last frame, with the arguments of all."""
    lines = [frame.partition(b"data: ") for frame in frames]
    events = [json.loads(data) for _, _, data in lines]
    places = [place_of_arguments(event) for event in events]
    last, name = places[-1]
    last[name] = "".join(place[key] for place, key in places)
    return lines[-1][0] + b"data: " + json.dumps(events[-1], separators=(",", ":")).encode() + b"\n\n"


def place_of_arguments(event: Any) -> tuple[Any, str]:
    """Where they stand: the object, and the name of its field."""
    if "choices" not in event:
        return event, "delta"
    return event["choices"][0]["delta"]["tool_calls"][0]["function"], "arguments"
