"""`bench doctor` on servers, gateways and a model whose truth is known: each has its verdict, and never another.

On a machine that is too busy to tell it may have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from bench.simulator.process import Simulator, running
from bench.simulator.server import KEEP
from tests.support import transformers_server
from tests.support.aimock import aimock, install
from tests.support.cli import bench
from tests.support.parts.litellm import litellm
from tests.support.parts.nginx import authority, nginx
from tests.support.parts.reading import body_for, read
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import BROKEN, LUMPS, STREAMING, WAYS

pytestmark = pytest.mark.paced

TEXT = ("--api", "responses", "--mode", "text")
"""For what has nothing to do with the API or the mode."""
HALF = ("--output-tokens", "128")
BUSY_MS = 5.0
"""Lateness of this machine (p90) from which on an examination may be inconclusive."""
SLOW = pytest.mark.slow
CONTROL = {"metadata": {"bench": json.dumps({"tokens": 256})}}


@dataclass(frozen=True)
class Said:
    """What the command said."""

    code: int
    json: Mapping[str, Any]

    @property
    def verdicts(self) -> Mapping[str, str]:
        """By hop (where there are several), API and mode."""
        hops = len(self.json["hops"])
        return {
            " ".join([*([one["hop"]] if hops > 1 else []), one["api"], one["mode"]]): one["verdict"]
            for one in self.json["findings"]
        }

    def check(self, name: str, hop: int = 0) -> tuple[str, str]:
        """(State, sentence) of a property."""
        ((state, said),) = [
            (one["state"], one["said"])
            for one in self.json["checks"]
            if (one["name"], one["hop"]) == (name, self.json["hops"][hop]["name"])
        ]
        return state, said

    def added(self, api: str = "responses") -> Mapping[str, Any]:
        """What the path adds to the deltas of a text."""
        (found,) = [one for one in self.json["added"] if (one["api"], one["mode"]) == (api, "text")]
        return dict(found)

    def assert_is(self, expected: Mapping[str, str]) -> None:
        """These verdicts and the exit code that goes with them; `inconclusive` only where this machine was busy."""
        seen = {name: one for name, one in self.verdicts.items() if one != "inconclusive" or not self.was_busy}
        assert seen == {name: expected[name] for name in seen}, self.evidence
        assert self.verdicts.keys() == expected.keys()
        if seen.keys() == expected.keys():
            verdicts = set(expected.values())
            bad = verdicts - {"streaming", "inconclusive"}
            assert self.code == (1 if bad else 4 if "inconclusive" in verdicts else 0)

    @property
    def was_busy(self) -> bool:
        """Whether the machine was too busy to tell."""
        return float(self.json["floor"]["p90_ms"]) > BUSY_MS

    @property
    def evidence(self) -> str:
        """All of it, for whoever has to find out why."""
        return json.dumps([{**one, "curve": None} for one in self.json["findings"]] + [self.json["floor"]], indent=1)


def doctor(folder: Path, *options: str | Path, env: Mapping[str, str] | None = None) -> Said:
    """An examination to its end, as JSON."""
    done = bench("doctor", "--json", *options, cwd=folder, env=env, timeout=200)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout, done.stderr
    return Said(done.returncode, json.loads(done.stdout))


def at(*base_urls: str) -> list[str]:
    """The options for these endpoints."""
    return [word for url in base_urls for word in ("--base-url", url)] + ["--model", "sim-1"]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One for all, as `bench serve` starts it."""
    with running(keep=KEEP) as one:
        yield one


@pytest.fixture(scope="module")
def plain(simulator: Simulator) -> Iterator[str]:
    """Streams, and answers HTTP/1.0 without chunks."""
    with redelivered(simulator.base_url, WAYS["plain"]) as base_url:
        yield base_url


RESPONSES, CHAT = (tuple(f"{api} {mode}" for mode in ("text", "tools", "structured")) for api in ("responses", "chat"))
HELD = {"late": "blocked", "at_once": "fake", "replayed": "fake", "json": "not streaming"}
VERDICTS = {**dict.fromkeys(STREAMING, "streaming"), **dict.fromkeys(LUMPS, "bursty"), **HELD}
ALL_MODES = ("closing", "every_250_ms", "late", "at_once", "replayed", "json")
"""Examined in all modes, over one API."""


def delivered() -> list[ParameterSet]:
    """(Way, options, expected)."""
    ways = [
        (name, ("--api", "responses"), dict.fromkeys(RESPONSES, verdict))
        if name in ALL_MODES
        else (name, TEXT, {"responses text": verdict})
        for name, verdict in VERDICTS.items()
    ]
    chat = [
        (name, ("--api", "chat", "--mode", "text"), {"chat text": VERDICTS[name]}) for name in ("sized_4k", "replayed")
    ]
    everything = ("plain", (), dict.fromkeys((*RESPONSES, *CHAT), "streaming"))
    return [pytest.param(*case, id=" ".join([case[0], *case[1]]), marks=SLOW) for case in [everything, *ways, *chat]]


@pytest.mark.parametrize(("name", "options", "expected"), delivered())
def test_ways_to_deliver(
    simulator: Simulator, tmp_path: Path, name: str, options: Sequence[str], expected: Mapping[str, str]
) -> None:
    """Every server that streams, however oddly, is found to; every other one has the verdict that it deserves."""
    with redelivered(simulator.base_url, WAYS[name]) as base_url:
        doctor(tmp_path, *at(base_url), *options).assert_is(expected)


def test_one_that_streams(plain: str, tmp_path: Path) -> None:
    """The shortest examination of all: one API, text, 64 tokens."""
    said = doctor(tmp_path, *at(plain), *TEXT, "--output-tokens", "64")
    said.assert_is({"responses text": "streaming"})
    assert said.json["findings"][0]["numbers"]["deltas"] == 64
    assert said.json["requests"] == 6


@SLOW
def test_a_call_in_one_piece(simulator: Simulator, tmp_path: Path) -> None:
    """A call whose arguments come at the end is fake in either API, and the text beside it streams."""
    with redelivered(simulator.base_url, WAYS["arguments_whole"]) as base_url:
        said = doctor(tmp_path, *at(base_url), "--mode", "text,tools")
    said.assert_is({f"{api} {mode}": verdict for api in ("responses", "chat") for mode, verdict in WHOLE.items()})
    assert said.check("tool arguments")[0] == "bad"


WHOLE = {"text": "streaming", "tools": "fake"}


@SLOW
@pytest.mark.parametrize("name", [name for name in BROKEN if not name.startswith("limited")])
def test_broken(simulator: Simulator, tmp_path: Path, name: str) -> None:
    """Is said to be broken, in either API, and why."""
    why = {
        "text_plain": "the content type is text/plain",
        "without_end": "it ends without a terminal event",
        "half_a_frame": "it is malformed",
        "cut_off": "the connection ended inside the answer",
    }
    with redelivered(simulator.base_url, WAYS[name]) as base_url:
        said = doctor(tmp_path, *at(base_url), "--mode", "text", "--output-tokens", "64")
    said.assert_is({"responses text": "broken", "chat text": "broken"})
    assert all(one["numbers"]["because"].startswith(why[name]) for one in said.json["findings"])


@SLOW
@pytest.mark.parametrize("name", ["limited", "limited_for_1_s"])
def test_limited(simulator: Simulator, tmp_path: Path, name: str) -> None:
    """429 says nothing of streaming: exit 4; its Retry-After, or that there is none, is seen."""
    with redelivered(simulator.base_url, WAYS[name]) as base_url:
        said = doctor(tmp_path, *at(base_url))
    assert set(said.verdicts.values()) == {"inconclusive"}
    assert said.code == 4
    assert said.check("retry headers")[0] == ("bad" if name == "limited" else "good")


KNOBS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "on": ({"buffering": True}, "bursty"),
    "off": ({"buffering": False}, "streaming"),
    "http 1.1": ({"http": "1.1"}, "streaming"),
    "buffer": ({"buffer": "16k"}, "bursty"),
    "gzip": ({"gzip": True}, "blocked"),
    "gzip, off": ({"gzip": True, "buffering": False}, "streaming"),
    "tls": ({"tls": True}, "bursty"),
    "tls, off": ({"tls": True, "buffering": False}, "streaming"),
}
"""What nginx is told, and what comes of it."""
LARGE = 16384
"""Bytes of a lump of TLS and of the buffers that are asked for."""


@SLOW
@pytest.mark.nginx
@pytest.mark.parametrize("name", KNOBS)
def test_nginx(plain: str, tmp_path: Path, name: str) -> None:
    """Each setting has the verdict that the same stream deserves behind it."""
    told, verdict = KNOBS[name]
    size = LARGE if name in {"tls", "buffer"} else 4096
    with nginx(tmp_path / "nginx", plain, **told) as base_url:
        trust = {"SSL_CERT_FILE": str(authority(tmp_path / "nginx"))} if told.get("tls") else None
        said = doctor(tmp_path, *at(base_url), *TEXT, *(() if size == LARGE else HALF), env=trust)
    said.assert_is({"responses text": verdict})
    assert said.json["hops"][0]["server"].startswith("nginx/")
    if name == "gzip":
        (finding,) = said.json["findings"]
        assert "compress" in finding["why"]
        assert finding["change"][0]["lines"] == ["gzip off;"]
    if verdict == "bursty" and said.verdicts == {"responses text": verdict}:
        numbers = said.json["findings"][0]["numbers"]
        assert numbers["lump_bytes"] == pytest.approx(size, rel=0.1)


@SLOW
@pytest.mark.nginx
@pytest.mark.parametrize(("ignored", "verdict"), [(False, "streaming"), (True, "bursty")])
def test_nginx_and_accel(simulator: Simulator, tmp_path: Path, ignored: bool, verdict: str) -> None:
    """X-Accel-Buffering lets a stream through, unless nginx ignores it."""
    with (
        redelivered(simulator.base_url, WAYS["accel"]) as upstream,
        nginx(tmp_path / "nginx", upstream, ignore_accel=ignored) as base_url,
    ):
        doctor(tmp_path, *at(base_url), *TEXT, *HALF).assert_is({"responses text": verdict})


@pytest.mark.nginx
def test_advice_for_nginx(plain: str, tmp_path: Path) -> None:
    """As Debian ships it: lumps of 4 KiB, and the lines to copy that stop them, on the terminal."""
    with nginx(tmp_path / "nginx", plain) as base_url:
        done = bench("doctor", *at(base_url), *TEXT, cwd=tmp_path)
    if done.returncode == 4:
        pytest.skip(f"this machine is too busy to tell: {done.stdout}")
    assert done.returncode == 1
    for words in ("No: 127.0.0.1:", "responses, text  BURSTY", "(each time 4 KiB", "proxy_buffering off;"):
        assert words in done.stdout
    for line in ("proxy_buffering off;", "proxy_http_version 1.1;", 'proxy_set_header Connection "";'):
        assert f"\n                   {line}\n" in done.stdout
    assert f"bench doctor --base-url {base_url} --model sim-1" in done.stdout


@SLOW
@pytest.mark.nginx
@pytest.mark.parametrize("gateway_first", [False, True])
def test_two_hops(plain: str, tmp_path: Path, gateway_first: bool) -> None:
    """A server and nginx before it: whichever is named first, the gateway is told apart, and exit is 1."""
    with nginx(tmp_path / "nginx", plain) as base_url:
        hops = [base_url, plain] if gateway_first else [plain, base_url]
        said = doctor(tmp_path, *at(*hops), *TEXT, *HALF)
    gateway, server = (url.split("/")[2] for url in (base_url, plain))
    said.assert_is({f"{gateway} responses text": "bursty", f"{server} responses text": "streaming"})
    (difference,) = said.json["differences"]
    assert difference["first"]["n"] == difference["whole"]["n"] == 6
    assert (difference["first"]["value"] > 10) is not gateway_first
    if gateway_first:
        assert difference["sentence"].startswith(f"{gateway} is bursty, and {server} is not")
        assert said.json["answer"].startswith(f"No, and {gateway} is at it already: ")
    else:
        assert difference["sentence"].startswith(f"{gateway} does it: {server} streams")
        assert said.json["answer"].startswith(f"No, and it is {gateway}: ")


@pytest.fixture(scope="module")
def passing(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """LiteLLM in front of the simulator."""
    with litellm(tmp_path_factory.mktemp("litellm"), simulator.base_url) as base_url:
        warmed(base_url)
        yield base_url


def warmed(base_url: str) -> None:
    """LiteLLM's first answer takes half a second more."""
    for api in ("responses", "chat"):
        read(base_url, body_for(api))


@SLOW
@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
@pytest.mark.timeout(240)
def test_litellm(plain: str, tmp_path: Path) -> None:
    """Beside the server itself: both stream in both APIs, calls too, and how much later its first piece comes."""
    with litellm(tmp_path / "litellm", plain) as base_url:
        warmed(base_url)
        said = doctor(tmp_path, *at(plain, base_url), "--mode", "tools", "--output-tokens", "128")
    hops = [url.split("/")[2] for url in (plain, base_url)]
    said.assert_is({f"{hop} {name}": "streaming" for hop in hops for name in (*RESPONSES[:2], *CHAT[:2])})
    assert len(said.json["differences"]) == 4
    assert all(one["sentence"].startswith("Both stream; ") for one in said.json["differences"])


@SLOW
@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
def test_litellm_hides_a_missing_end(simulator: Simulator, tmp_path: Path) -> None:
    """Chat's missing end is made up by it, so that is streaming; that of Responses is seen through it."""
    with (
        redelivered(simulator.base_url, WAYS["without_end"]) as upstream,
        litellm(tmp_path / "litellm", upstream) as base_url,
    ):
        warmed(base_url)
        said = doctor(tmp_path, *at(base_url), "--mode", "text", "--output-tokens", "128")
    said.assert_is({"responses text": "broken", "chat text": "streaming"})


@SLOW
@pytest.mark.nginx
def test_the_simulator_behind_two_nginx(simulator: Simulator, tmp_path: Path) -> None:
    """Delays are those of a 4 KiB buffer, as a bare socket sees its period; HTTP/1.0, cancel and 429 are seen."""
    with (
        nginx(tmp_path / "inner", simulator.base_url, buffering=False) as inner,
        nginx(tmp_path / "outer", inner) as base_url,
    ):
        said = doctor(tmp_path, "--sim-behind", base_url, "--sim", simulator.base_url, *TEXT)
        period = read(base_url, {**body_for("responses", tokens=256), **CONTROL}).period_ms()
    said.assert_is({"responses text": "bursty"})
    added = said.added()
    assert added["n"] == 2 * (16 + 64 + 256)
    assert added["error_ms"] == 0
    assert added["p50_ms"] == pytest.approx(period / 2, rel=0.35)  # a delta waits anything from 0 to a period
    assert added["p90_ms"] == pytest.approx(0.9 * period, rel=0.35)
    assert said.check("HTTP version upstream")[0] == "bad"
    assert said.check("retry headers") == ("good", "A 429 comes through with its Retry-After.")
    assert "the server stopped" in said.check("cancel")[1]


@SLOW
def test_the_simulator_itself(simulator: Simulator, tmp_path: Path) -> None:
    """Nothing is between: next to nothing is added, in no mode, and all is in order."""
    said = doctor(tmp_path, "--sim-behind", simulator.base_url, "--sim", simulator.base_url, *HALF)
    said.assert_is(dict.fromkeys((*RESPONSES, *CHAT), "streaming"))
    assert len(said.json["added"]) == 6
    for one in said.json["added"]:
        assert not one["note"]
        assert 0 <= one["p50_ms"] < 3
    names = ("HTTP version upstream", "keep-alive upstream", "stream asked upstream", "retry headers")
    assert {said.check(name)[0] for name in names} == {"good"}


@SLOW
@pytest.mark.alone  # the server takes both processors
@pytest.mark.litellm
def test_the_simulator_behind_litellm(simulator: Simulator, passing: str, tmp_path: Path) -> None:
    """Each event is found again, though written anew; a lost Retry-After is found; both APIs are asked as streams."""
    said = doctor(
        tmp_path, "--sim-behind", passing, "--sim", simulator.base_url, "--mode", "text", "--output-tokens", "128"
    )
    said.assert_is({"responses text": "streaming", "chat text": "streaming"})
    for api in ("responses", "chat"):
        assert not said.added(api)["note"]
        assert 0.1 < said.added(api)["p50_ms"] < 20
    assert said.added()["n"] == 2 * (16 + 32 + 128)
    assert said.check("retry headers") == ("bad", "A 429 comes through, its Retry-After of 2 s is lost.")
    assert said.check("stream asked upstream")[0] == "good"
    assert "the server stopped" in said.check("cancel")[1]


@SLOW
def test_a_gateway_that_asks_for_the_whole(simulator: Simulator, tmp_path: Path) -> None:
    """One that never asks upstream for a stream is found out; a replayed stream shows how late its first piece is."""
    for name, verdict in (("json", "not streaming"), ("replayed", "fake")):
        with redelivered(simulator.base_url, WAYS[name], hidden=False) as base_url:
            said = doctor(tmp_path, "--sim-behind", base_url, "--sim", simulator.base_url, *TEXT, *HALF)
        said.assert_is({"responses text": verdict})
        assert said.check("stream asked upstream")[0] == ("bad" if name == "json" else "good")
    assert said.added()["most_ms"] > 128 * 5 * 0.9  # that of the longest answer's first delta


@SLOW
@pytest.mark.node
@pytest.mark.timeout(240)
def test_aimock(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A server this project did not write streams in all modes."""
    cache = request.config.cache
    assert cache is not None
    with aimock(install(cache.mkdir("aimock")), tmp_path / "log", ("doctor",)) as base_url:
        said = doctor(tmp_path, *at(base_url), "--api", "chat")  # its answers are long, whatever is asked for
    said.assert_is(dict.fromkeys(CHAT, "streaming"))


@SLOW
@pytest.mark.alone  # the server takes both processors
@pytest.mark.torch
@pytest.mark.timeout(600)
def test_transformers(tmp_path: Path) -> None:
    """A tiny model: its text streams in both APIs; its calls are too short to tell whether their one piece was held."""
    model = transformers_server.build(tmp_path / "model")
    with transformers_server.serving(model, tmp_path / "log") as base_url:
        said = doctor(
            tmp_path, "--base-url", base_url, "--model", model, "--output-tokens", "128", "--mode", "text,tools"
        )
    said.assert_is({f"{api} {mode}": verdict for api in ("responses", "chat") for mode, verdict in TINY.items()})
    assert said.check("tool arguments")[0] == "bad"


TINY = {"text": "streaming", "tools": "inconclusive"}
