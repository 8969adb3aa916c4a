"""Responses that live on: follow-ups, background generation, and GET, DELETE and cancel of a response by its id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import orjson
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from bench.core.script import Fault
from bench.simulator.delivery import EventStream, Frame, WholeBody
from bench.simulator.errors import ApiError
from bench.simulator.fault_injection.broken_answers import break_stream
from bench.simulator.fault_injection.chances import fault_name
from bench.simulator.replies.responses import Reply
from bench.simulator.requests.conversation import InputItem
from bench.simulator.requests.responses import ResponsesRequest
from bench.simulator.routes.exchange import begin_record, deliver
from bench.simulator.simulation import Generation, Simulation
from bench.simulator.store.background import Background, is_last
from bench.simulator.store.responses import FinishedResponse, Store, input_size
from bench.simulator.truth import SentResponse

_BYTES_OF_A_TOKEN = 500
"""What one token takes at most, about, in the kept frames of a background stream."""
_WHOLE_BODIES = {None, "stall", "slow_headers", "incomplete", "failed", "error", "error_nested"}
"""Faults that leave a blocking body a Response object."""
_INPUT: TypeAdapter[list[InputItem]] = TypeAdapter(list[InputItem])


def with_earlier(question: ResponsesRequest, store: Store) -> ResponsesRequest:
    """Put the question behind the whole conversation that its `previous_response_id` stands for.

    Raises `ApiError` for an id that cannot be followed up.
    """
    if question.previous_response_id is None:
        return question
    items, output = store.earlier(question.previous_response_id)
    return question.model_copy(update={"input": [*items, *_INPUT.validate_python(output), *question.input]})


def remember(question: ResponsesRequest, name: str, sent: SentResponse, store: Store) -> None:
    """Have the response kept under that id when its end is about to leave, unless the question says `store: false`."""

    def note_state(type_: str, frame: bytes) -> None:
        streamed = is_last(type_)
        if streamed or (type_ == "body" and sent.fault in _WHOLE_BODIES):
            store.keep(name, FinishedResponse(question.input, frame, streamed))

    if question.store is not False:
        sent.on_frame = note_state


def answer(question: ResponsesRequest, made: Generation, sent: SentResponse, simulation: Simulation) -> ASGIApp:
    """Send the response to a question, and keep it as far as the question says so."""
    reply = Reply(question, made.answer)
    if _is_no_response(made):
        return deliver(reply, made, sent, simulation.truth)
    if not question.background:
        remember(question, reply.id, sent, simulation.store)
        return deliver(reply, made, sent, simulation.truth)
    response = begin(reply, made, sent.t_received, simulation.store)
    sent.stop = response.stop
    on_the_way = replace(made, fault=None) if outcome(made) else made
    way = deliver(View(reply, response), on_the_way, sent, simulation.truth, at_once=True)
    sent.fault = fault_name(made.fault)
    return way


def _is_no_response(made: Generation) -> bool:
    """Return True for an HTTP error and for a script's raw stream: there is nothing to keep."""
    refused = made.fault is not None and made.fault.kind == "status"
    return refused or bool(made.turn and made.turn.writes)


def begin(reply: Reply, made: Generation, t_received: int, store: Store) -> Background:
    """Start a response that goes on whatever its client does, and keep it."""
    frames: Iterable[Frame] = reply.frames(made.times())
    if fault := outcome(made):
        frames = break_stream(fault, frames, reply)
    response = Background(
        items=reply.request.input,
        frames=iter(frames),
        t_received=t_received,
        streamed=bool(reply.request.stream),
        size=input_size(reply.request.input) + _BYTES_OF_A_TOKEN * reply.answer.tokens,
    )
    store.keep(reply.id, response)
    return response


def outcome(made: Generation) -> Fault | None:
    """Return the fault that is part of a background response itself; any other breaks one delivery of it.

    An error event is a matter of its stream. Where there is none, what it stands for is a response that fails.
    """
    fault = made.fault
    if fault and fault.kind in {"error", "error_nested"} and not made.question.stream:
        return fault.model_copy(update={"kind": "failed"})
    return fault if fault and fault.kind in {"failed", "incomplete"} else None


class View:
    """A background response as its first delivery renders it."""

    def __init__(self, reply: Reply, response: Background) -> None:
        self._reply, self._response = reply, response
        self.is_delta, self.failure, self.failed_body = reply.is_delta, reply.failure, reply.failed_body

    def frames(self, _schedule: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """Return the frames that every reader gets."""
        return self._response.frames()

    def body(self) -> dict[str, Any]:
        """Return what a blocking call gets, at once: the response before it has begun."""
        return self._reply.pending("queued")


async def retrieve(request: Request) -> ASGIApp:
    """`GET /v1/responses/{id}`: the response as it stands; with `stream=true` its events after `starting_after`."""
    simulation, sent = request.app.state.simulation, begin_record(request)
    name = request.path_params["name"]
    if not _flag(request, "stream"):
        found = simulation.store.find(name)
        return WholeBody(0, lambda: orjson.dumps(found.response()), sent, simulation.truth)
    response = simulation.store.background(name, "Only background responses can be streamed again.")
    if not response.streamed:
        raise ApiError(400, "Only responses created with 'stream' can be streamed again.", param="stream")
    sent.stop = response.stop
    frames = response.frames_since(sent.t_received, after=_starting_after(request))
    return EventStream(frames, sent, simulation.truth)


async def cancel(request: Request) -> ASGIApp:
    """`POST /v1/responses/{id}/cancel`: end a background response now; one that has ended stays as it is."""
    simulation, sent = request.app.state.simulation, begin_record(request)
    response = simulation.store.background(request.path_params["name"], "Only background responses can be cancelled.")
    response.cancel()
    sent.stop = response.stop
    return WholeBody(0, lambda: orjson.dumps(response.response()), sent, simulation.truth)


async def delete(request: Request) -> ASGIApp:
    """`DELETE /v1/responses/{id}`: forget a response."""
    simulation, sent = request.app.state.simulation, begin_record(request)
    name = request.path_params["name"]
    simulation.store.delete(name)
    gone = {"id": name, "object": "response", "deleted": True}
    return WholeBody(0, lambda: orjson.dumps(gone), sent, simulation.truth)


ROUTES = [
    Route("/v1/responses/{name}", retrieve, methods=["GET"]),
    Route("/v1/responses/{name}", delete, methods=["DELETE"]),
    Route("/v1/responses/{name}/cancel", cancel, methods=["POST"]),
]


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in {"true", "false"}:
        raise ApiError(400, f"Invalid '{name}': use true or false.", param=name, code="invalid_value")
    return value == "true"


def _starting_after(request: Request) -> int:
    value = request.query_params.get("starting_after", "-1")
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ApiError(400, "Invalid 'starting_after': use a sequence number.", param="starting_after")
    return max(int(value), -1)
