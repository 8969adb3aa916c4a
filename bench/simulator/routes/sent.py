"""What the simulator sent and when, for a client that asks over HTTP: the same truth that `--truth` writes to a file.

A gateway may merge events, write them anew and drop what it does not know, so the frames are also told by what no
gateway can change unseen: how many characters of the answer each brought.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.clients.decode.chat_events import read_chat_chunk
from bench.clients.decode.responses_events import read_responses_event
from bench.clients.decode.sse import SseParser
from bench.core import linux as kernel
from bench.records.schema import TOKEN_KINDS
from bench.simulator.errors import ApiError
from bench.simulator.routes.exchange import json_response
from bench.simulator.truth import SentResponse, TruthLog

_CHAT = "/chat/completions"


async def clock(_request: Request) -> Response:
    """Tell the clock of the stamps, and which start of which machine it belongs to."""
    return json_response({"t": time.perf_counter_ns(), "boot": kernel.boot()})


async def sent_responses(request: Request) -> Response:
    """List the kept responses to questions with a nonce, with or without its brackets; an unknown one has none."""
    truth: TruthLog = request.app.state.simulation.truth
    if not truth.keeps:
        raise ApiError(404, "This simulator keeps no send log in memory: use `bench serve`.", code="no_send_log")
    nonce = f"[{request.path_params['nonce'].strip('[] ')}]"
    return json_response({"responses": [_row(each) for each in truth.responses_to(nonce)]})


ROUTES = [Route("/bench/clock", clock), Route("/bench/sent/{nonce}", sent_responses)]


def _row(sent: SentResponse) -> dict[str, Any]:
    asked = sent.asked
    assert asked is not None  # noqa: S101  (what is kept has it)
    return {
        "client_id": sent.client_id,
        "t_received": sent.t_received,
        "t_sent": sent.t_sent,
        "type": sent.types,
        "chars": answer_chars(sent.frames or (), chat=asked.path.endswith(_CHAT)),
        "bytes": sent.sizes,
        "gone": sent.gone,
        "fault": sent.fault,
        "done": sent.done,
        "method": asked.method,
        "path": asked.path,
        "http_version": asked.http_version,
        "headers": asked.headers,
    }


def answer_chars(frames: Iterable[bytes], *, chat: bool) -> Sequence[int]:
    """Count the characters of the deltas that end in each frame; what repeats them whole brings none."""
    parser = SseParser()
    return [sum(_delta_chars(data, chat=chat) for data in parser.feed(frame)) for frame in frames]


def _delta_chars(data: bytes, *, chat: bool) -> int:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:  # `[DONE]`, or a frame that is no JSON on purpose
        return 0
    if not isinstance(event, dict):
        return 0
    meaning = read_chat_chunk(event) if chat else read_responses_event(event)
    return 0 if meaning.whole or meaning.kind not in TOKEN_KINDS else meaning.chars
