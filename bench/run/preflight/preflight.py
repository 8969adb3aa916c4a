"""Check a server before anything is measured: whether it takes the key, the model, the API and the parameters.

Two kinds of small requests are sent by the plain HTTP client, without retries: `GET {base}/models`, then one tiny
request for each model and API. What would make every trial fail in the same way is an error that names the fix. A
missing API, and what a run should show as failed trials (nonsense, a passing rate limit), is a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from bench.clients.sdk.tap import proxy_for
from bench.core.errors import BenchError, unknown
from bench.core.scenario import API_NAMES, OTHER_API
from bench.core.target import Target
from bench.records.redact import Redactor
from bench.run.preflight.connect_error import why_unreachable
from bench.run.preflight.connection_info import WireInfo
from bench.run.preflight.error_body import content, error_field, from_web_page, message_of, names_model

if TYPE_CHECKING:
    from bench.core.scenario import Api

_PATHS: Mapping[str, str] = {"responses": "/responses", "chat": "/chat/completions"}
_LENGTH: Mapping[str, str] = {"responses": "max_output_tokens", "chat": "max_completion_tokens"}
_RESULT: Mapping[str, str] = {"responses": "output", "chat": "choices"}
_HEALTHY = {"metadata": {"bench": '{"answers":[{}]}'}}
"""Asks the simulator for an ordinary answer, whatever its script says."""
_NO_ROUTE = {404, 405, 501}
_NO_REUSE = httpx2.Limits(max_keepalive_connections=0)
"""Some servers close the connection after an error without saying so; the next request on it would fail."""
_REFUSED_KEY = {401, 403}


@dataclass(frozen=True, kw_only=True)
class PreflightResult:
    """What preflight found out about a target."""

    models: Sequence[str]
    """The models to measure: those asked for, else the only one served."""
    temperature: float | None
    """0, or None when a model refuses to be given one."""
    length: bool
    """Every model takes a cap on the length of its answer."""
    notices: Sequence[str]
    server: str | None
    """Its `server` header."""
    missing: frozenset[Api] = frozenset()
    """APIs that it has no route for."""
    wire: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Facts of the connection, by the names of `WireInfo.found`; no secrets."""


@dataclass(frozen=True)
class _Server:
    """The target of these requests, and how to reach it."""

    client: httpx2.AsyncClient
    target: Target
    redact: Redactor
    timeout_s: float
    wire: WireInfo

    def error(self, what: str) -> BenchError:
        return BenchError(self.redact(f"target {self.target.name} ({self.target.base_url}): {what}"))

    async def get(self, path: str) -> httpx2.Response:
        return await self._send("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> httpx2.Response:
        healthy = _HEALTHY if self.target.simulated else {}
        return await self._send("POST", path, {**body, **self.target.extra_body, **healthy})

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
        try:
            async with asyncio.timeout(2 * self.timeout_s):
                answer = await self.client.request(method, f"{self.target.base_url}{path}", json=body)
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole answer within {2 * self.timeout_s:g} s") from error
        self.wire.on_answer(answer)
        return answer


@dataclass(frozen=True)
class _Listing:
    """The answer to `GET /models`: the names, or why there are none."""

    names: Sequence[str] = ()
    missing: str | None = None
    status: int | None = None
    server: str | None = None


async def preflight(
    target: Target,
    models: Sequence[str] | None,
    apis: Collection[Api],
    *,
    key: str,
    headers: Mapping[str, str],
    timeout_s: float = 15,
) -> PreflightResult:
    """Check a target with a base URL. `headers` are ready to be sent; errors and notices never repeat a secret.

    `timeout_s` holds for connecting; a whole request may take twice as long.
    """
    sent = {"Authorization": f"Bearer {key}", **headers}
    redact = Redactor([key, *headers.values()])
    timeout = httpx2.Timeout(None, connect=timeout_s)
    # A proxy of the environment cannot reach the simulator: it listens on this machine's loopback.
    direct = target.simulated
    async with httpx2.AsyncClient(headers=sent, timeout=timeout, limits=_NO_REUSE, trust_env=not direct) as client:
        wire = WireInfo()
        client.event_hooks = {"response": [wire.on_response]}
        server = _Server(client, target, redact, timeout_s, wire)
        listing = await _list_models(server)
        asked = list(models or [_only_model(server, listing)])
        taken = {"temperature", "length"}
        notices = [f"target {target.name}: no list of models ({listing.missing})"] if listing.missing else []
        missing: set[Api] = set()
        for api in sorted(apis):
            for model in asked:
                of_model, found = await _try(server, listing, model, api)
                notices += found
                if of_model is None:
                    missing.add(api)
                    break
                taken &= of_model
    proxied = not direct and proxy_for(target.base_url or "") is not None
    await wire.time_it(urlsplit(target.base_url or "").hostname or "", proxied=proxied)
    return PreflightResult(
        models=asked,
        temperature=0.0 if "temperature" in taken else None,
        length="length" in taken,
        notices=[redact(text) for text in notices],
        server=listing.server,
        missing=frozenset(missing),
        wire={name: redact(value) if isinstance(value, str) else value for name, value in wire.found.items()},
    )


async def _list_models(server: _Server) -> _Listing:
    try:
        response = await server.get("/models")
        if (response.status_code in _NO_ROUTE or from_web_page(response)) and await _answers_below_v1(server):
            raise server.error(f"/v1 is missing at the end of the base URL; use {server.target.base_url}/v1")
    except httpx2.RequestError as error:
        reason = why_unreachable(error, server.target.host)
        if reason:
            raise server.error(reason) from error
        return _Listing(missing=f"{type(error).__name__} {error}".strip())
    return _read_listing(server, response)


def _read_listing(server: _Server, response: httpx2.Response) -> _Listing:
    status, name = response.status_code, response.headers.get("server")
    if from_web_page(response):
        raise server.error("answers with a web page, not an API; check the base URL (it usually ends in /v1)")
    if response.is_redirect:
        raise server.error(f"redirects to {_place(response)}; give the address it really has as base URL")
    if status != 200:
        return _Listing(missing=f"{status} {message_of(response)}", status=status, server=name)
    data = content(response).get("data")
    entries = data if isinstance(data, list) else []
    names = [str(entry["id"]) for entry in entries if isinstance(entry, dict) and entry.get("id")]
    return _Listing(names, None if names else "it is empty or not one", status, name)


async def _answers_below_v1(server: _Server) -> bool:
    if (server.target.base_url or "").endswith("/v1"):
        return False
    response = await server.get("/v1/models")
    return bool(content(response)) and response.status_code not in _NO_ROUTE


def _only_model(server: _Server, listing: _Listing) -> str:
    """Return the served model if there is exactly one. Raise `BenchError` otherwise."""
    if len(listing.names) == 1:
        return listing.names[0]
    if listing.names:
        some = ", ".join(sorted(listing.names)[:8])
        raise server.error(f"serves {len(listing.names)} models; choose with --model NAME ({some}, …)")
    if listing.status in _REFUSED_KEY:
        raise _refused_key(server, listing.missing or "")
    raise server.error(f"does not say which models it serves ({listing.missing}); add --model NAME")


async def _try(server: _Server, listing: _Listing, model: str, api: Api) -> tuple[set[str] | None, list[str]]:
    """Send a tiny request. Return which of `temperature` and `length` it takes (None: no such route), and notices."""
    body = _tiny(model, api)
    who = f"target {server.target.name}, model {model}"
    try:
        response = await server.post(_PATHS[api], body)
        while refused := _refused_parameter(response, body, api):
            del body[refused]
            response = await server.post(_PATHS[api], body)
        missing = await _is_missing(server, response, _PATHS[api])
    except httpx2.RequestError as error:
        reason = why_unreachable(error, server.target.host)
        if reason:
            raise server.error(reason) from error
        return {"temperature", "length"}, [
            f"{who}: the test request got no answer ({f'{type(error).__name__} {error}'.strip()}); going on"
        ]
    if missing and not names_model(response, model):
        no_route = (
            f"no {API_NAMES[api]} there ({response.status_code} {message_of(response)}): try --api {OTHER_API[api]}"
        )
        return None, [f"target {server.target.name}: {no_route}"]
    notices = [] if _LENGTH[api] in body else [f"{who}: refuses {_LENGTH[api]}, so the length is not limited"]
    taken = {"temperature"} & body.keys() | ({"length"} if _LENGTH[api] in body else set())
    return taken, notices + _judge(server, listing, response, model, api)


def _tiny(model: str, api: Api) -> dict[str, Any]:
    ping = {"input": "ping"} if api == "responses" else {"messages": [{"role": "user", "content": "ping"}]}
    return {"model": model, **ping, "stream": False, _LENGTH[api]: 16, "temperature": 0}


def _refused_parameter(response: httpx2.Response, body: Mapping[str, Any], api: Api) -> str | None:
    """Return the optional parameter in the body that a 400 or 422 is about, None if it is about none."""
    if response.status_code not in {400, 422}:
        return None
    about = error_field(response, "param") or message_of(response)
    return next((name for name in ("temperature", _LENGTH[api]) if name in body and name in about), None)


async def _is_missing(server: _Server, response: httpx2.Response, path: str) -> bool:
    """Return True if the path does not exist. A 404 means that only if a made-up path gets the same answer."""
    if response.status_code != 404:
        return response.status_code in _NO_ROUTE
    other = "/no-such-path"
    control = await server.post(other, {})
    return message_of(response).replace(path, other) == message_of(control)


def _judge(server: _Server, listing: _Listing, response: httpx2.Response, model: str, api: Api) -> list[str]:
    """Return notices about the answer to the tiny request. Raise the `BenchError` that it stands for."""
    status, who = response.status_code, f"target {server.target.name}, model {model}"
    if status == 429:
        return [f"{who}: 429 to the test request ({message_of(response)}); going on, expect http_429 failures"]
    if status in _NO_ROUTE and not names_model(response, model):
        return [f"{who}: {status} to the test request ({message_of(response)}); going on"]
    if status >= 300:
        raise _failure(server, listing, response, model)
    answer = content(response)
    if not isinstance(answer.get(_RESULT[api]), list):
        return [f"{who}: nonsense in answer to the test request ({message_of(response)}); going on"]
    if not listing.names or model in listing.names:
        return []
    if not str(answer.get("model", "")).startswith(model):
        raise _unknown_model(server, listing, model, f"answers as {answer.get('model', 'no model')!s}")
    return [f"{who}: not in the server's list of models, but it answers"]


def _failure(server: _Server, listing: _Listing, response: httpx2.Response, model: str) -> BenchError:
    status, words = response.status_code, f"{response.status_code} {message_of(response)}"
    if names_model(response, model):
        return _unknown_model(server, listing, model, words)
    if status in _REFUSED_KEY:
        return _refused_key(server, words)
    if response.is_redirect:
        return server.error(f"redirects to {_place(response)}; give the address it really has as base URL")
    if status >= 500:
        return server.error(f"fails with {words}; look at its log and try again")
    return server.error(f"refuses the test request for model {model}: {words}")


def _refused_key(server: _Server, words: str) -> BenchError:
    variable = server.target.api_key_env
    if variable is None:
        return server.error(f"wants a key ({words}); export it and name its variable with --api-key-env")
    return server.error(f"refuses the key in {variable} ({words}); check it, or name another with --api-key-env")


def _unknown_model(server: _Server, listing: _Listing, model: str, words: str) -> BenchError:
    if listing.names and model not in listing.names:
        return server.error(f"{unknown('model', model, listing.names)} (the server: {words})")
    return server.error(f"refuses the model {model}: {words}")


def _place(response: httpx2.Response) -> str:
    """Return the address of a redirect, without its query."""
    return response.headers.get("location", "nowhere").partition("?")[0]
