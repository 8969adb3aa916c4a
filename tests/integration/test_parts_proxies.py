"""The real proxies that the doctor is tried on do what `tests/support/parts` says of them: a bare socket says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from bench.simulator.process import Simulator, running
from tests.support.parts.litellm import litellm
from tests.support.parts.nginx import authority, nginx
from tests.support.parts.reading import Reading, body_for, read
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import WAYS
from tests.support.scripted import json_response, scripted

pytestmark = pytest.mark.paced

TOKENS = 96
GENERATED_MS = 120 + 5 * TOKENS
"""What the simulator takes for an answer."""
LATE_MS = 120
"""By how much a time may be off on a busy machine."""
CONTROL = {"metadata": {"bench": json.dumps({"tokens": TOKENS})}}
"""Asks the simulator for the length; the redelivering server does so by itself."""
EACH, AT_END = 0, -1
"""Each event by itself; nothing before the end. Else the size of the lumps."""
QUICK = {("unchunked", "as it comes"), ("unchunked", "tls"), ("unchunked", "off")}
KNOBS: Mapping[str, tuple[Mapping[str, Any], int, int]] = {
    "as it comes": ({}, 4096, EACH),
    "on": ({"buffering": True}, 4096, EACH),
    "off": ({"buffering": False}, EACH, EACH),
    "http 1.1": ({"http": "1.1"}, EACH, EACH),
    "buffer": ({"buffer": "16k"}, 16384, EACH),
    "tls": ({"tls": True}, 16352, 16352),
    "tls, off": ({"tls": True, "buffering": False}, EACH, EACH),
    "gzip": ({"gzip": True}, AT_END, AT_END),
    "gzip, off": ({"gzip": True, "buffering": False}, EACH, EACH),
}
"""What nginx is told, and what comes of an upstream without chunks and of one with."""


def knobs() -> list[ParameterSet]:
    """Each with both upstreams; few in the default run."""
    return [
        pytest.param(
            kind, *told, expected, id=f"{kind}, {name}", marks=() if (kind, name) in QUICK else pytest.mark.slow
        )
        for name, (*told, without, with_) in KNOBS.items()
        for kind, expected in (("unchunked", without), ("chunked", with_))
    ]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One for all. It sends chunks to HTTP/1.0 too."""
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def upstreams(simulator: Simulator) -> Iterator[Mapping[str, str]]:
    """A server that answers HTTP/1.0 without chunks, and one that does not care."""
    with redelivered(simulator.base_url, WAYS["plain"]) as base_url:
        yield {"unchunked": base_url, "chunked": simulator.base_url}


def assert_arrives(seen: Reading, expected: int) -> None:
    """Each event by itself, in lumps of that size, or all at the end; whole in any case."""
    bursts = seen.bursts()
    assert b'"type":"response.completed"' in seen.body
    assert seen.end_ms == pytest.approx(GENERATED_MS, abs=LATE_MS)
    assert seen.headers_ms is not None
    if expected == EACH:
        assert seen.headers_ms < LATE_MS
        assert len(bursts) > TOKENS / 3
    elif expected == AT_END:
        assert seen.headers_ms == pytest.approx(GENERATED_MS, abs=LATE_MS)
        assert len(bursts) == 1
    else:
        sizes = [size for _, size in bursts[:-1]]  # the headers take some of the first buffer
        assert len(bursts) <= len(seen.body) // expected + 1
        assert all(0.9 * expected < size <= expected for size in sizes)
        assert seen.headers_ms == pytest.approx(bursts[0][0])


@pytest.mark.nginx
@pytest.mark.parametrize(("kind", "told", "expected"), knobs())
def test_nginx(upstreams: Mapping[str, str], tmp_path: Path, kind: str, told: Mapping[str, Any], expected: int) -> None:
    """It buffers what comes without chunks, not what comes in chunks unless TLS does, and all that it compresses."""
    with nginx(tmp_path, upstreams[kind], **told) as base_url:
        trusted = authority(tmp_path) if told.get("tls") else None
        body = {**body_for("responses", tokens=TOKENS), **CONTROL}
        seen = read(base_url, body, headers={"Accept-Encoding": "gzip"}, authority=trusted)
    assert_arrives(seen, expected)
    assert seen.headers["server"].startswith("nginx/")
    assert seen.headers.get("content-encoding") == ("gzip" if told.get("gzip") else None)
    assert base_url.startswith("https" if trusted else "http:")


@pytest.mark.nginx
@pytest.mark.parametrize(("ignored", "expected"), [(False, EACH), (True, 4096)])
def test_nginx_honours_accel(simulator: Simulator, tmp_path: Path, ignored: bool, expected: int) -> None:
    """`X-Accel-Buffering: no` of a server turns its buffering off, unless nginx is told to ignore that."""
    with (
        redelivered(simulator.base_url, WAYS["accel"]) as upstream,
        nginx(tmp_path, upstream, ignore_accel=ignored) as base_url,
    ):
        assert_arrives(read(base_url, body_for("responses", tokens=TOKENS)), expected)


@pytest.mark.nginx
@pytest.mark.slow
def test_two_nginx_make_lumps_of_any_stream(simulator: Simulator, tmp_path: Path) -> None:
    """The one in the middle takes the chunks out, so that the other buffers; the simulator's own routes pass."""
    with (
        nginx(tmp_path / "inner", simulator.base_url, buffering=False) as inner,
        nginx(tmp_path / "outer", inner) as base_url,
    ):
        assert_arrives(read(base_url, {**body_for("responses", tokens=TOKENS), **CONTROL}), 4096)


@pytest.fixture(scope="module")
def gateways(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """LiteLLM in front of the simulator, and one in front of a server that refuses and notes what it was asked."""
    folder = tmp_path_factory.mktemp("litellm")
    refusing = json_response({"error": {"message": "no"}}, status=429, headers={"retry-after": "1"})
    with ExitStack() as stack:
        noting = stack.enter_context(scripted(refusing))
        yield {
            "noting": noting,
            "simulator": stack.enter_context(litellm(folder / "a", simulator.base_url)),
            "refused": stack.enter_context(litellm(folder / "b", noting.base_url)),
            "passing": stack.enter_context(litellm(folder / "c", noting.base_url, passing=True)),
        }


@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
@pytest.mark.slow
@pytest.mark.parametrize("api", ["responses", "chat"])
def test_litellm_writes_each_event_anew(gateways: Mapping[str, Any], api: str) -> None:
    """Events arrive one by one, with no `event:` line, and `[DONE]` with either API; the length does not reach Chat."""
    body = {**body_for(api, tokens=TOKENS), **CONTROL}
    read(gateways["simulator"], body)  # the first one takes half a second more
    seen = read(gateways["simulator"], body)
    pieces = seen.body.count(b'"type":"response.output_text.delta"' if api == "responses" else b'"delta":{"content":')
    assert pieces - (api == "chat") == (TOKENS if api == "responses" else 60)
    assert len(seen.reads) > pieces / 2
    assert b"event: " not in seen.body
    assert seen.body.endswith(b"data: [DONE]\n\n")
    assert seen.headers["x-litellm-version"]
    assert "x-request-id" not in seen.headers


@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
@pytest.mark.slow
@pytest.mark.parametrize("passing", [False, True])
def test_litellm_keeps_things_for_itself(gateways: Mapping[str, Any], passing: bool) -> None:
    """Chat's metadata and the client's headers stay there unless it is told to pass them on; Retry-After always."""
    asked = gateways["noting"].requests
    for api in ("responses", "chat"):
        seen = read(
            gateways["passing" if passing else "refused"],
            {**body_for(api), **CONTROL},
            headers={"X-Client-Request-Id": "mine"},
        )
        assert seen.status == 429
        assert "retry-after" not in seen.headers
        assert seen.headers["llm_provider-retry-after"] == "1"
        assert (asked[-1].json.get("metadata") == CONTROL["metadata"]) is (passing or api == "responses")
        assert (asked[-1].headers.get("x-client-request-id") == "mine") is passing


@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
@pytest.mark.slow
def test_litellm_passes_a_cancel_on(tmp_path: Path) -> None:
    """A client that leaves in the middle of a stream ends it upstream within a moment."""
    log = tmp_path / "truth"
    with running(truth=log) as simulator, litellm(tmp_path / "litellm", simulator.base_url) as base_url:
        read(base_url, body_for("responses", tokens=TOKENS), most_reads=5)
        time.sleep(0.5)
    assert json.loads(log.read_text().splitlines()[-1])["gone"] is not None
