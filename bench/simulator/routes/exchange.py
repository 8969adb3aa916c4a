"""One request and its response, whichever API it is of: what comes in, and how the answer goes out."""

from __future__ import annotations

import time

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from bench.simulator.errors import ApiError
from bench.simulator.fault_injection.broken_answers import Renderer, body_with, scripted_stream, stream_with
from bench.simulator.fault_injection.chances import fault_name, nonce_in
from bench.simulator.simulation import Generation
from bench.simulator.truth import SentResponse, TruthLog

_MAX_BODY_BYTES = 16 * 1024 * 1024


def deliver(
    reply: Renderer, made: Generation, sent: SentResponse, truth: TruthLog, *, at_once: bool = False
) -> ASGIApp:
    """Send the answer: as a stream if that was asked for, else whole at the stream's end or `at_once`.

    With what goes wrong with it, or the stream that a script wrote in its place.
    """
    sent.attempt, sent.fault = made.attempt, fault_name(made.fault)
    if truth.keeps:
        sent.nonce = nonce_in(item.text for item in made.question.input)
    if made.turn is not None and made.turn.writes:
        return scripted_stream(made.turn, made.question.stream, sent, truth)
    if made.question.stream:
        return stream_with(made.fault, reply.frames(made.times()), reply, sent, truth)
    return body_with(made.fault, 0 if at_once else made.end, reply, sent, truth)


async def receive(request: Request) -> tuple[bytes, SentResponse]:
    """Receive the body of a request, and begin the record of the response to it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            message = f"The body of your request is larger than {_MAX_BODY_BYTES} bytes."
            raise ApiError(413, message, code="request_too_large")
    return bytes(body), begin_record(request)


def begin_record(request: Request) -> SentResponse:
    """Begin the record of the response to a request that is here."""
    return SentResponse(
        client_id=request.headers.get("x-client-request-id"),
        server_id=request.state.request_id,
        t_received=time.perf_counter_ns(),
    )


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as a JSON response."""
    return Response(orjson.dumps(value), status, media_type="application/json")
