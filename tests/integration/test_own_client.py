"""Scenarios that bring a stack of their own: what is measured of them, what is not, and the worked example."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd
import pytest

from bench import Ask, Scenario
from bench.core.scenario import Endpoint
from bench.run.memory.call import MemoryServer, measure_peak
from bench.simulator.process import running
from tests.support.cli import bench, only_run
from tests.support.harness import Row, measure
from tests.support.paths import ROOT
from tests.support.scripted import RST, Script, chunk, head, json_response, response, scripted

pytestmark = pytest.mark.slow

TEXT: Script = [head(200, {"transfer-encoding": "chunked"}), chunk(b"Hel"), 0.1, chunk(b"lo"), 0.1, chunk(b""), b""]
WHOLE = response(b"Hello")
CUT: Script = [*TEXT[:2], 0.1, RST]


async def lines(endpoint: Endpoint, ask: Ask) -> AsyncIterator[str]:
    """The body as it comes, by httpx2."""
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=0.5) as client,
        client.stream("GET", endpoint.base_url) as got,
    ):
        got.raise_for_status()
        async for text in got.aiter_text():
            yield text


async def whole(endpoint: Endpoint, ask: Ask) -> str:
    """The whole body, by httpx2."""
    async with httpx2.AsyncClient(trust_env=False, timeout=0.5) as client:
        return (await client.get(endpoint.base_url)).raise_for_status().text


def plain(endpoint: Endpoint, ask: Ask) -> Iterator[str]:
    """The body as it comes, by the standard library, in a thread."""
    try:
        with urllib.request.urlopen(endpoint.base_url, timeout=0.5) as got:  # noqa: S310
            while data := got.read1():
                yield data.decode()
    except urllib.error.HTTPError as error:
        error.close()
        raise


OWN = Scenario("own", lines, whole, client="own")
PLAIN = Scenario("plain", plain, client="own")
BOTH_KINDS = pytest.mark.parametrize("scenario", [OWN, PLAIN], ids=["async", "sync"])


def streamed(folder: Path, base_url: str, scenario: Scenario, **options: Any) -> tuple[Row, Any]:
    """Its one streamed trial, and all that was recorded."""
    measured = measure(folder, base_url, scenario, deliveries=["streamed"], **options)
    return measured.trial(), measured


@BOTH_KINDS
def test_what_is_measured(tmp_path: Path, scenario: Scenario) -> None:
    """First useful piece, the pieces and the total are there; of the wire nothing, which is null and not zero."""
    with scripted(TEXT) as server:
        row, measured = streamed(tmp_path, server.base_url, scenario)
    assert (row["status"], row["text"], row["pieces"], row["client"]) == ("ok", "Hello", 2, "own")
    first, last = (piece["t_yield"] for piece in measured["pieces"])
    assert row["t_origin"] < row["t_first_useful"] == first < last < row["t_end"]
    assert 0.05e9 < last - first < 2e9
    unknown = ("attempts", "requests", "events", "reads", "bytes_in", "backoff_ns", "deltas", "stalls", "t_first_token")
    assert {row[name] for name in unknown} == {None}
    assert measured["attempts"] == []


def test_both_deliveries_make_a_pair(tmp_path: Path) -> None:
    """Streamed and blocking are both called with the endpoint, and give the same result."""
    with scripted(TEXT, WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("own", lines, whole, client="own"))
    assert {(row["status"], row["text"]) for row in measured["trials"]} == {("ok", "Hello")}


@BOTH_KINDS
@pytest.mark.parametrize(
    ("script", "status"),
    [
        (json_response({}, 404), "http_4xx"),
        (json_response({}, 429), "http_429"),
        (json_response({}, 500), "http_5xx"),
        ([RST], "connect"),
        (CUT, "cut_mid_stream"),
        ([5.0], "timeout"),
    ],
)
def test_failures_are_told_apart(tmp_path: Path, scenario: Scenario, script: Script, status: str) -> None:
    """What httpx2 and the standard library raise gets the class that the SDK's failures have."""
    with scripted(script) as server:
        row, _ = streamed(tmp_path, server.base_url, scenario)
    assert row["status"] == status
    assert row["error"]


def test_nobody_there(tmp_path: Path) -> None:
    """A refused connection is a failure to connect."""
    with scripted() as server:
        base_url = server.base_url
    assert streamed(tmp_path, base_url, PLAIN)[0]["status"] == "connect"


def test_the_deadline(tmp_path: Path) -> None:
    """A stack that waits for ever is cut off at the deadline."""

    async def patient(endpoint: Endpoint, ask: Ask) -> AsyncIterator[str]:
        async with httpx2.AsyncClient(trust_env=False, timeout=None) as client:
            yield (await client.get(endpoint.base_url)).text

    with scripted([30.0]) as server:
        row, _ = streamed(tmp_path, server.base_url, Scenario("patient", patient, client="own"), deadline=0.3)
    assert (row["status"], "--deadline" in row["error"]) == ("timeout", True)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (lambda: http.client.IncompleteRead(b""), "connect"),
        (lambda: json.loads("{"), "invalid_result"),
        (lambda: ValueError("mine"), "scenario_error"),
    ],
)
def test_other_exceptions(tmp_path: Path, error: Callable[[], Exception], status: str) -> None:
    """Broken HTTP is the connection's fault, broken JSON the answer's, and anything else the plugin's own."""

    def broken(endpoint: Endpoint, ask: Ask) -> Iterator[str]:
        if ask.prompt:
            raise error()
        yield ""

    row, _ = streamed(tmp_path, "http://127.0.0.1:9/v1", Scenario("broken", broken, client="own"))
    assert row["status"] == status


def asks(endpoint: Endpoint, ask: Ask) -> Iterator[str]:
    """The Responses API by the standard library."""
    body = json.dumps({**ask.request, "stream": False}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {endpoint.api_key}"}
    request = urllib.request.Request(f"{endpoint.base_url}/responses", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as got:  # noqa: S310
        yield json.load(got)["output"][0]["content"][0]["text"]


def test_its_memory_is_measured() -> None:
    """The memory pass gives it the address of its simulator."""
    with running(profile="flood") as simulator:
        endpoint = MemoryServer(base_url=simulator.base_url, model="sim-1")
        _, peak = measure_peak(Scenario("asks", asks, client="own"), "streamed", "tracemalloc", 200, endpoint)
    assert peak > 1000


@pytest.mark.paced
def test_the_worked_example(tmp_path: Path) -> None:
    """`bench run fastapi_chat.py` measures the app end to end, and says of the wire that it is not known."""
    (tmp_path / "bench.toml").write_text("[run]\npairs = 6\nwarmup = 1\n")
    done = bench("run", ROOT / "docs/examples/fastapi_chat.py", "--profile", "flood", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(only_run(tmp_path) / "summary.csv")
    assert set(rows["client"]) == {"own"}
    p50 = rows[(rows["delivery"] == "streamed") & (rows["statistic"] == "p50")].set_index("metric")
    assert p50["estimate"][["ttfu", "total"]].notna().all()
    assert p50["n"]["piece_gap"] == 6, "every trial came in several pieces"
    assert p50["note"]["ttft"] == "n/a (own client)"
    assert rows[rows["metric"] == "failures"]["estimate"].eq(0).all()
    assert rows[(rows["metric"] == "gain")]["estimate"].notna().all()
    assert "n/a: own" in done.stdout
    if sys.platform == "linux":
        left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"fastapi_chat.py" in read(path)]
        assert left == [], "the app has ended with bench"


def read(path: Path) -> bytes:
    """A file that may be gone by now."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
