"""Preflight against real servers on loopback that behave in the ways users meet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest

from bench.core.errors import BenchError
from bench.core.target import SIM, Target
from bench.run.preflight.preflight import PreflightResult, preflight
from tests.support.scripted import CLOSE, RST, Answer, Request, Script, Server, json_response, response, scripted, sse

KEY = "sk-planted-0123456789"
PAGE = response(b"<!DOCTYPE html><html><title>Welcome</title></html>", headers={"content-type": "text/html"})


def listing(*names: str) -> Script:
    return json_response({"object": "list", "data": [{"id": name} for name in names]}, headers={"server": "scripted/1"})


def answer(request: Request) -> Script:
    return json_response({"object": "response", "model": request.json["model"], "output": []})


def error(status: int, message: str, **fields: str) -> Script:
    return json_response({"error": {"message": message, **fields}}, status=status)


def check(base_url: str, models: Sequence[str] | None = ("small",), key_env: str | None = "MY_KEY") -> PreflightResult:
    target = Target(name="mine", base_url=base_url, api_key_env=key_env)
    return asyncio.run(preflight(target, models, {"responses"}, key=KEY, headers={"X-Team": "blue"}, timeout_s=2))


def failure(server: Server, models: Sequence[str] | None = ("small",), key_env: str | None = "MY_KEY") -> str:
    with pytest.raises(BenchError) as caught:
        check(server.base_url, models, key_env)
    text = str(caught.value)
    assert "\n" not in text
    assert KEY not in text
    assert server.base_url in text
    return text


def routes(models: Answer, responses: Answer) -> dict[str, Answer]:
    return {"/v1/models": models, "/v1/responses": responses}


def test_a_sound_server() -> None:
    """A sound server gives its models, temperature 0, its name and no notices; it sees key, headers, a tiny body."""
    with scripted(routes=routes(listing("small"), answer)) as server:
        checked = check(server.base_url)
    assert checked == PreflightResult(models=["small"], temperature=0.0, length=True, notices=[], server="scripted/1")
    models, tiny = server.requests
    assert (models.method, tiny.method) == ("GET", "POST")
    assert tiny.headers["authorization"] == f"Bearer {KEY}"
    assert tiny.headers["x-team"] == "blue"
    assert tiny.json == {"model": "small", "input": "ping", "stream": False, "max_output_tokens": 16, "temperature": 0}


def test_the_only_served_model_is_the_default() -> None:
    """Without an asked model the single served one is taken."""
    with scripted(routes=routes(listing("only"), answer)) as server:
        assert check(server.base_url, None).models == ["only"]


def test_several_models_want_a_choice() -> None:
    """Without an asked model, several served ones are an error that lists them."""
    with scripted(routes=routes(listing("b", "a"), answer)) as server:
        assert "serves 2 models; choose with --model NAME (a, b" in failure(server, None)


def test_chat_has_its_own_route_and_body() -> None:
    """The Chat Completions API is tried on its own path with its own names."""

    def chat(request: Request) -> Script:
        return json_response({"model": request.json["model"], "choices": []})

    target_routes: dict[str, Answer] = {"/v1/models": listing("small"), "/v1/chat/completions": chat}
    with scripted(routes=target_routes) as server:
        target = Target(name="mine", base_url=server.base_url)
        checked = asyncio.run(preflight(target, ["small"], {"chat"}, key=KEY, headers={}))
    assert checked.notices == []
    assert server.requests[1].json["messages"] == [{"role": "user", "content": "ping"}]


@pytest.mark.parametrize("name", ["temperature", "max_output_tokens"])
def test_a_refused_parameter_is_left_out(name: str) -> None:
    """A model that refuses temperature or a length limit is asked again without it, and the result says so."""

    def picky(request: Request) -> Script:
        return error(400, f"Unsupported parameter: '{name}'", param=name) if name in request.json else answer(request)

    with scripted(routes=routes(listing("small"), picky)) as server:
        checked = check(server.base_url)
    assert checked.temperature == (None if name == "temperature" else 0.0)
    assert any("so the length is not limited" in notice for notice in checked.notices) == (name != "temperature")
    assert [name in request.json for request in server.requests[1:]] == [True, False]


def test_no_server() -> None:
    """A refused connection says that there is no server, and where."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(BenchError, match=rf"no server at 127\.0\.0\.1:{port} .*is it running\?"):
            check(f"http://127.0.0.1:{port}/v1")


def test_an_unknown_host() -> None:
    """A host name that no one knows is told apart from a server that is down."""
    with pytest.raises(BenchError, match=r"the host name nowhere\.invalid is not known"):
        check("http://nowhere.invalid/v1")


def test_https_on_a_plain_server() -> None:
    """https:// to a server that speaks plain HTTP gives the advice to write http://."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def go() -> None:
        listener = await asyncio.start_server(plain, "127.0.0.1", 0)
        target = Target(name="mine", base_url=f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1")
        try:
            await preflight(target, ["small"], {"responses"}, key=KEY, headers={})
        finally:
            listener.close()

    with pytest.raises(BenchError, match="write http:// instead of https://"):
        asyncio.run(go())


@pytest.mark.parametrize("below", ["page", "missing"])
def test_v1_is_missing(below: str) -> None:
    """A base URL without /v1 is told from the answer one level below, also when every other path is a web page."""
    answers = (PAGE,) if below == "page" else ()
    with scripted(*answers, routes=routes(listing("small"), answer)) as server:
        with pytest.raises(BenchError, match="/v1 is missing at the end of the base URL") as caught:
            check(server.url)
        assert f"use {server.base_url}" in str(caught.value)


def test_a_web_page() -> None:
    """A web page is called one."""
    with scripted(PAGE) as server:
        assert "answers with a web page, not an API" in failure(server)


def test_a_redirect() -> None:
    """A redirect is an error with its destination, without the query, and nothing is sent there."""
    moved = response(b"", status=308, headers={"location": "https://elsewhere.invalid/v1/models?token=secret"})
    with scripted(moved) as server:
        text = failure(server)
    assert "redirects to https://elsewhere.invalid/v1/models;" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "refusal",
    [error(404, "The model `smal` does not exist", code="model_not_found"), error(400, "model smal is unknown here")],
)
def test_an_unknown_model(refusal: Script) -> None:
    """A model that the server refuses is answered with the nearest served name."""
    with scripted(routes=routes(listing("small", "large"), refusal)) as server:
        assert "unknown model 'smal': did you mean 'small'?" in failure(server, ["smal"])


def test_an_unknown_model_where_names_are_ignored() -> None:
    """A server that answers any model name as its own model does not get measured under the wrong name."""
    with scripted(routes=routes(listing("small"), json_response({"model": "small", "output": []}))) as server:
        text = failure(server, ["tiny-7b"])
    assert "unknown model 'tiny-7b': known: small (the server: answers as small)" in text


def test_a_model_that_is_not_listed_but_answers() -> None:
    """A model missing from the list that answers by its name is measured, with a notice."""
    with scripted(routes=routes(listing("small"), answer)) as server:
        checked = check(server.base_url, ["alias"])
    assert checked.models == ["alias"]
    assert checked.notices == ["target mine, model alias: not in the server's list of models, but it answers"]


def test_a_listed_model_that_is_refused() -> None:
    """A model that is listed but refused is not called unknown."""
    refusal = error(403, "Project has no access to model small", code="model_not_found")
    with scripted(routes=routes(listing("small"), refusal)) as server:
        assert "refuses the model small: 403 Project has no access" in failure(server)


@pytest.mark.parametrize("status", [404, 405])
def test_no_responses_api(status: int) -> None:
    """A missing route for the Responses API gives the advice to try Chat."""
    with scripted(error(status, "not found"), routes={"/v1/models": listing("small")}) as server:
        checked = check(server.base_url)
    assert checked.missing == {"responses"}
    assert checked.notices == [f"target mine: no Responses API there ({status} not found): try --api chat"]


def test_no_responses_api_on_a_server_that_repeats_the_path() -> None:
    """A missing route is recognised where the error names the path."""
    with scripted(routes={"/v1/models": listing("small")}) as server:
        checked = check(server.base_url)
    assert checked.missing == {"responses"}
    assert "no Responses API there (404 no route /v1/responses): try --api chat" in checked.notices[0]


def test_a_404_that_is_not_about_the_route() -> None:
    """A 404 that other paths do not give (a mock without a fixture for the test request) goes on with a notice."""
    with scripted(routes=routes(listing("small"), error(404, "No fixture matched"))) as server:
        [notice] = check(server.base_url).notices
    assert notice == "target mine, model small: 404 to the test request (No fixture matched); going on"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key(status: int) -> None:
    """A refused key is blamed on its variable, without repeating the key that the server echoes."""
    with scripted(error(status, f"Incorrect API key: {KEY}")) as server:
        text = failure(server)
    assert f"refuses the key in MY_KEY ({status} Incorrect API key: ***); check it" in text


def test_a_wanted_key() -> None:
    """A server that wants a key where none was named gets the advice to name one."""
    with scripted(error(401, "no key")) as server:
        assert "wants a key (401 no key); export it and name its variable with --api-key-env" in failure(
            server, None, key_env=None
        )


def test_no_list_of_models() -> None:
    """Without /models the run goes on when a model was given, and asks for one when not."""
    with scripted(routes={"/v1/responses": answer}) as server:
        assert check(server.base_url).notices == ["target mine: no list of models (404 no route /v1/models)"]
        assert "does not say which models it serves (404 no route /v1/models); add --model" in failure(server, None)


def test_a_rate_limit_is_a_notice() -> None:
    """A 429 does not end the command."""
    with scripted(routes=routes(listing("small"), error(429, "slow down"))) as server:
        assert "429 to the test request (slow down)" in check(server.base_url).notices[0]


def test_a_failing_server() -> None:
    """A 5xx ends the command with the server's own words."""
    with scripted(routes=routes(listing("small"), response(b"upstream\n\x1b[31mbroke", status=502))) as server:
        assert "fails with 502 upstream ?[31mbroke" in failure(server)


@pytest.mark.parametrize(
    "nonsense",
    [
        json_response({"hello": "world"}),
        json_response([1]),
        response(b"\xff\xfe\x00"),
        sse({"type": "response.created"}, "data: [DONE]\n\n"),
        [RST],
        [CLOSE],
        [b"220 smtp ready\r\n", CLOSE],
        response(b"not gzip", headers={"content-encoding": "gzip"}),
    ],
)
def test_nonsense_is_a_notice(nonsense: Script) -> None:
    """Nonsense in answer to the test request goes on with a notice, so that the run can show it as failed trials."""
    with scripted(routes=routes(listing("small"), nonsense)) as server:
        [notice] = check(server.base_url).notices
    assert notice.startswith("target mine, model small: ")
    assert notice.endswith("going on")


def test_nonsense_everywhere() -> None:
    """A server that resets every connection is a matter for the run too, once a model is named."""
    with scripted([RST]) as server:
        assert len(check(server.base_url).notices) == 2
        assert "does not say which models it serves" in failure(server, None)


def test_a_server_that_never_ends_its_answer() -> None:
    """An answer without end is left after the time limit."""
    with scripted(routes=routes(listing("small"), sse(*(": ping\n\n", 0.05) * 400))) as server:
        target = Target(name="mine", base_url=server.base_url)
        checked = asyncio.run(preflight(target, ["small"], {"responses"}, key=KEY, headers={}, timeout_s=0.2))
    assert "no whole answer within 0.4 s" in checked.notices[0]


@pytest.mark.parametrize("name", [SIM, "mine"])
def test_a_proxy_of_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator is reached past any proxy, another target through it."""
    with scripted(routes=routes(listing("small"), answer)) as server, scripted(PAGE) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        target = Target(name=name, base_url=server.base_url)
        if name == SIM:
            assert asyncio.run(preflight(target, ["small"], {"responses"}, key=KEY, headers={})).models == ["small"]
        else:
            with pytest.raises(BenchError, match="answers with a web page"):
                asyncio.run(preflight(target, ["small"], {"responses"}, key=KEY, headers={}))
    assert (server.requests == []) == bool(proxy.requests) == (name != SIM)
