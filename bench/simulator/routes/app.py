"""The routes of the simulator, and what every response of it carries."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bench import __version__
from bench.simulator.errors import ApiError, error_body
from bench.simulator.replies.chat import ChatReply
from bench.simulator.requests.chat import parse_chat
from bench.simulator.requests.responses import check_model, parse_request
from bench.simulator.routes import sent as sent_api
from bench.simulator.routes import stored as stored_api
from bench.simulator.routes.exchange import deliver, json_response, receive
from bench.simulator.routes.websocket import over_websocket, upgrade_required
from bench.simulator.simulation import Simulation, generate

_CREATED = 1_700_000_000
"""The models' date of birth: any fixed one."""


def create_app(simulation: Simulation) -> Starlette:
    """Return the ASGI application."""
    app = Starlette(
        routes=[
            Route("/bench/identity", identity),
            *sent_api.ROUTES,
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", model),
            Route("/v1/responses", responses, methods=["POST"]),
            Route("/v1/responses", upgrade_required, methods=["GET"]),
            WebSocketRoute("/v1/responses", over_websocket(responses)),
            *stored_api.ROUTES,
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ],
        middleware=[Middleware(_OwnHeaders)],
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _server_error},
    )
    app.router.redirect_slashes = False
    app.state.simulation = simulation
    return app


async def identity(request: Request) -> Response:
    """Say who listens here: a client compares the nonce with that of the simulator it started."""
    simulation: Simulation = request.app.state.simulation
    return json_response({"name": "streambench-simulator", "nonce": simulation.nonce, "version": __version__})


async def models(request: Request) -> Response:
    """List all models."""
    simulation: Simulation = request.app.state.simulation
    return json_response({"object": "list", "data": [_model(name) for name in simulation.models]})


async def model(request: Request) -> Response:
    """Describe one model."""
    name = request.path_params["name"]
    check_model(name, request.app.state.simulation.models)
    return json_response(_model(name))


async def responses(request: Request) -> ASGIApp:
    """Answer a question, streamed or whole: the same answer at the same time."""
    simulation: Simulation = request.app.state.simulation
    body, sent = await receive(request)
    question = stored_api.with_earlier(parse_request(body, simulation.models), simulation.store)
    made = generate(simulation, question)
    return stored_api.answer(question, made, sent, simulation)


async def chat(request: Request) -> ASGIApp:
    """Answer a question of Chat Completions: with the same text as the Responses API."""
    simulation: Simulation = request.app.state.simulation
    body, sent = await receive(request)
    asked, question = parse_chat(body, simulation.models)
    made = generate(simulation, question)
    return deliver(ChatReply(asked, question, made.answer), made, sent, simulation.truth)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "streambench"}


def _api_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101
    return json_response(error.body, error.status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    where = f"{request.method} {request.url.path}"
    texts = {404: f"Unknown request URL: {where}.", 405: f"Not allowed to {where}."}
    codes = {404: "unknown_url", 405: "method_not_supported"}
    message = texts.get(error.status_code, error.detail)
    response = json_response(
        error_body(error.status_code, message, code=codes.get(error.status_code)), error.status_code
    )
    response.headers.update(error.headers or {})
    return response


def _server_error(_request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return json_response(error_body(500, f"The simulator failed: {error!r}."), 500)


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
