"""WebSocket messages out of socket reads, events that become requests, and what happens without the package."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import OP_CONT, OP_PING, OP_TEXT, Frame

from bench.clients.decode.decode import decode
from bench.clients.decode.websocket import WebSocketMessage, messages, without_head
from bench.core.errors import RunInvalid
from bench.core.load import ALONE
from bench.core.scenario import Ask, Scenario
from bench.core.target import Target
from bench.plan.selection import make_cells
from bench.simulator.errors import ApiError
from bench.simulator.routes.websocket import post_body, websocket_support

HANDSHAKE = {"upgrade": "websocket", "sec-websocket-accept": "x"}


def text(data: bytes) -> bytes:
    """A server's text frame."""
    return Frame(OP_TEXT, data).serialize(mask=False)


def cut(data: bytes, places: list[int]) -> list[tuple[int, bytes]]:
    """The bytes in several reads, stamped 0, 1, 2 and so on."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return list(enumerate(piece for piece in pieces if piece))


@given(st.lists(st.text(max_size=300).map(str.encode), min_size=1, max_size=8), st.lists(st.integers(0, 5000)))
def test_messages_take_the_stamp_of_the_read_that_completed_them(payloads: list[bytes], places: list[int]) -> None:
    """However the bytes were cut, the same messages come, each with the read that brought its last byte."""
    frames = [text(payload) for payload in payloads]
    reads = cut(b"".join(frames), places)
    found = list(messages(reads))
    assert [message.data for message in found] == payloads
    end, arrived = 0, []
    for frame in frames:
        end += len(frame)
        arrived.append(next(n for n, _ in reads if sum(len(data) for _, data in reads[: n + 1]) >= end))
    assert [(message.t_read, message.read) for message in found] == [(n, n) for n in arrived]


def test_fragments_are_one_message_and_pings_are_none() -> None:
    """A message in two fragments with a ping between them is one message, stamped with its last fragment."""
    first = Frame(OP_TEXT, b'{"a":', fin=False).serialize(mask=False)
    ping, last = Frame(OP_PING, b"x").serialize(mask=False), Frame(OP_CONT, b"1}").serialize(mask=False)
    assert list(messages([(10, first), (20, ping), (30, last)])) == [WebSocketMessage(30, 2, b'{"a":1}')]


@given(st.lists(st.integers(0, 200)))
def test_the_answer_to_the_handshake_is_cut_off(places: list[int]) -> None:
    """What followed the handshake's empty line stays, with its stamps; a frame in the same read too."""
    head, rest = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", text(b"hello") + text(b"you")
    reads = cut(head + rest, places)
    kept = without_head(reads)
    assert b"".join(data for _, data in kept) == rest
    assert {time for time, _ in kept} <= {time for time, _ in reads}
    assert kept[-1][0] == reads[-1][0]


def test_websocket_messages_are_decoded_as_events() -> None:
    """Two messages in one read are two events of one read, and the terminal one ends the answer."""
    delta = {"type": "response.output_text.delta", "delta": "Hi", "sequence_number": 0}
    end = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    answer = decode([(5, text(orjson.dumps(delta)) + text(orjson.dumps(end)))], HANDSHAKE, asked_stream=True)
    assert [(event.t_read, event.read, event.meaning.kind) for event in answer.events] == [
        (5, 0, "content"),
        (5, 0, "terminal"),
    ]
    assert (answer.is_stream, answer.terminal, answer.malformed) == (True, "completed", None)


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", text(b"{")], ids=["no frame", "no JSON"])
def test_what_cannot_be_read_is_malformed(data: bytes) -> None:
    """Bytes that are no frames, and a message that is no JSON, are said to be malformed."""
    assert decode([(1, data)], HANDSHAKE, asked_stream=True).malformed


def test_an_event_means_the_post_with_the_same_fields() -> None:
    """`response.create` is a request without its type, streamed whatever it says of `stream`."""
    body = post_body('{"type": "response.create", "model": "sim-1", "input": "x", "stream": null, "generate": true}')
    assert orjson.loads(body) == {"model": "sim-1", "input": "x", "stream": True}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("{", None),
        ("[]", "type"),
        ('{"type": "response.steer"}', "type"),
        ('{"type": "response.create", "background": true}', "background"),
        ('{"type": "response.create", "stream_id": "a"}', "stream_id"),
    ],
)
def test_events_that_mean_no_request_are_refused(message: str, param: str | None) -> None:
    """What is not JSON, not `response.create`, or not possible over WebSocket is refused as OpenAI's errors are."""
    with pytest.raises(ApiError) as refusal:
        post_body(message)
    assert (refusal.value.status, refusal.value.body["error"]["param"]) == (400, param)


def test_without_the_package_the_scenario_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that needs a WebSocket is left out with one line that says what to install."""
    monkeypatch.setitem(sys.modules, "websockets", None)  # as Python marks a module that is not there

    async def streamed(_client: object, _ask: Ask) -> AsyncIterator[str]:
        yield ""

    lines: list[str] = []
    with pytest.raises(RunInvalid):
        make_cells(
            [Scenario("over_ws", streamed, needs=("websocket",))],
            [(Target(name="t", base_url="http://localhost/v1"), "m")],
            delivery="both",
            loads=[ALONE],
            clients=["sdk"],
            prompts={"over_ws": ["x"]},
            params={"over_ws": [""]},
            notice=lines.append,
        )
    assert lines == ["unsupported: over_ws on t (it needs the package websockets: install streambench[realtime])"]
    assert websocket_support() == "none"
