"""Decode the socket reads of a WebSocket exchange into messages, each with the stamp of the read that completed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

HEAD_END = b"\r\n\r\n"


class WebSocketMessage(NamedTuple):
    """A message of the server, its fragments joined."""

    t_read: int
    """Time in ns of the read that brought its last byte."""
    read: int
    """Number of that read."""
    data: bytes


def is_websocket(headers: Mapping[str, str]) -> bool:
    """Return True if the handshake was accepted. A refusal is ordinary HTTP, even with `upgrade: websocket`."""
    return "sec-websocket-accept" in headers


def without_head(reads: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the reads from the first frame on, without the answer to the handshake."""
    whole = b"".join(data for _, data in reads)
    surplus = whole.index(HEAD_END) + len(HEAD_END)
    rest = []
    for time, data in reads:
        if data[surplus:]:
            rest.append((time, data[surplus:]))
        surplus = max(0, surplus - len(data))
    return rest


def messages(reads: Sequence[tuple[int, bytes]]) -> Iterator[WebSocketMessage]:
    """Yield the text and binary messages in reads that begin with a frame; control frames are skipped.

    Raises ValueError for bytes that are not frames.
    """
    from websockets.client import ClientProtocol  # noqa: PLC0415  (an optional extra; the caller has it)
    from websockets.frames import DATA_OPCODES, Frame  # noqa: PLC0415  (the same extra)
    from websockets.protocol import OPEN  # noqa: PLC0415  (the same extra)
    from websockets.uri import parse_uri  # noqa: PLC0415  (the same extra)

    protocol = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
    parts: list[bytes] = []
    for number, (time, data) in enumerate(reads):
        protocol.receive_data(data)
        for frame in protocol.events_received():
            if not isinstance(frame, Frame) or frame.opcode not in DATA_OPCODES:
                continue
            parts.append(bytes(frame.data))
            if frame.fin:
                yield WebSocketMessage(time, number, b"".join(parts))
                parts.clear()
        if protocol.parser_exc is not None:
            raise ValueError(f"no WebSocket frame: {protocol.parser_exc}")
