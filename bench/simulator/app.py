"""The routes of the simulator, and what every response of it carries."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bench import __version__
from bench.simulator.answers import answer_to, random_source
from bench.simulator.control import profile_of, read_control
from bench.simulator.delivery import EventStream, WholeBody
from bench.simulator.errors import ApiError, error_body
from bench.simulator.pacing import schedule
from bench.simulator.profiles import MODELS
from bench.simulator.requests import check_model, parse_request
from bench.simulator.responses import Reply
from bench.simulator.truth import Sent, TruthLog

_MAX_BODY_BYTES = 16 * 1024 * 1024
_CREATED = 1_700_000_000
"""The models' date of birth: any fixed one."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What holds for every request of one simulator."""

    profile: str
    seed: int
    nonce: str
    truth: TruthLog


def create_app(simulation: Simulation) -> Starlette:
    """The ASGI application."""
    app = Starlette(
        routes=[
            Route("/bench/identity", identity),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", model),
            Route("/v1/responses", responses, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnHeaders)],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _server_error},
    )
    app.router.redirect_slashes = False
    app.state.simulation = simulation
    return app


async def identity(request: Request) -> Response:
    """Who listens here: a client compares the nonce with that of the simulator it started."""
    simulation: Simulation = request.app.state.simulation
    return _json({"name": "streambench-simulator", "nonce": simulation.nonce, "version": __version__})


async def models(_request: Request) -> Response:
    """All models."""
    return _json({"object": "list", "data": [_model(name) for name in MODELS]})


async def model(request: Request) -> Response:
    """One model."""
    name = request.path_params["name"]
    check_model(name)
    return _json(_model(name))


async def responses(request: Request) -> EventStream | WholeBody:
    """An answer, streamed or whole: the same one at the same time."""
    simulation: Simulation = request.app.state.simulation
    body = await _read_body(request)
    sent = Sent(
        client_id=request.headers.get("x-client-request-id"),
        server_id=request.state.request_id,
        t_received=time.perf_counter_ns(),
    )
    asked = parse_request(body)
    control = read_control(asked.metadata or {})
    profile = profile_of(control, simulation.profile)
    seed = simulation.seed if control.seed is None else control.seed
    answer = answer_to(asked, seed=seed, tokens=control.tokens, default_tokens=profile.tokens)
    reply = Reply(asked, answer)
    times = schedule(len(answer.tokens), profile, MODELS[asked.model], random_source("pacing", asked, seed))
    if asked.stream:
        return EventStream(reply.frames(times), sent, simulation.truth)
    last = max(due for _, due in times)
    return WholeBody(last, lambda: orjson.dumps(reply.body()), sent, simulation.truth)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            message = f"The body of your request is larger than {_MAX_BODY_BYTES} bytes."
            raise ApiError(413, message, code="request_too_large")
    return bytes(body)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "streambench"}


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101
    return _json(error.body, error.status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    where = f"{request.method} {request.url.path}"
    texts = {404: f"Unknown request URL: {where}.", 405: f"Not allowed to {where}."}
    codes = {404: "unknown_url", 405: "method_not_supported"}
    message = texts.get(error.status_code, error.detail)
    response = _json(error_body(error.status_code, message, code=codes.get(error.status_code)), error.status_code)
    response.headers.update(error.headers or {})
    return response


def _server_error(_request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return _json(error_body(500, f"The simulator failed: {error!r}."), 500)


class _OwnHeaders:
    """Gives every response, errors too, the headers that OpenAI's carry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter_ns()
        request_id = f"req_{secrets.token_hex(16)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                spent = b"%d" % ((time.perf_counter_ns() - began) // 1_000_000)
                own = [(b"x-request-id", request_id.encode()), (b"openai-processing-ms", spent)]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
