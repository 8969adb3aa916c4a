"""`bench serve --print-config`: configurations that work as they are printed."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import yaml
from openai import OpenAI

from bench.simulator.gateway_configs import GATEWAYS, config_for
from tests.support.cli import bench, invoke, started
from tests.support.parts import nginx


def two_ports() -> int:
    """A free port; the next one is free too."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, ended with the block."""
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def wait_for(url: str) -> None:
    """Until somebody answers there."""
    for _ in range(250):
        try:
            httpx2.get(url, trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nobody answers at {url}")


@pytest.mark.nginx
def test_nginx_serves_through_it(tmp_path: Path) -> None:
    """The printed file makes nginx serve the stream, and the simulator kept what it sent to nginx."""
    port = two_ports()
    printed = bench("serve", "--port", str(port), "--print-config", "nginx", cwd=tmp_path)
    assert (printed.returncode, printed.stderr) == (0, "")
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "nginx.conf").write_text(printed.stdout)
    command = [nginx.program() or "nginx", "-e", "stderr", "-p", "gateway", "-c", "nginx.conf"]
    assert " ".join(["nginx", *command[1:]]) in printed.stdout
    subprocess.run([*command, "-t"], cwd=tmp_path, check=True, capture_output=True)
    gateway = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with ending(started("serve", "--port", str(port), cwd=tmp_path)), ending(gateway):
        url = f"http://127.0.0.1:{port + 1}/v1"
        assert f"bench doctor --sim-behind {url} --sim http://127.0.0.1:{port}/v1" in printed.stdout
        wait_for(f"http://127.0.0.1:{port}/v1/models")
        wait_for(f"{url}/models")
        with OpenAI(base_url=url, api_key="none", max_retries=0) as client:
            *_, last = client.responses.create(model="sim-1", input="[00000000000000d1] Hi", stream=True)
        assert last.type == "response.completed"
        log = httpx2.get(f"http://127.0.0.1:{port}/bench/sent/00000000000000d1", trust_env=False).json()
        (response,) = log["responses"]
        assert sum(response["chars"]) == len(last.response.output_text)
        assert (response["http_version"], response["headers"]["connection"]) == ("1.0", "close")


@pytest.mark.parametrize(
    ("host", "url", "elsewhere"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/v1", False),
        ("0.0.0.0", "http://127.0.0.1:8080/v1", True),
        ("::", "http://[::1]:8080/v1", True),
        ("box.example", "http://box.example:8080/v1", False),
    ],
)
def test_litellm(host: str, url: str, *, elsewhere: bool) -> None:
    """The model is the simulator's, at its address; where that is every address, a comment asks for the name."""
    text = config_for("litellm", host, 8080)
    (model,) = yaml.safe_load(text)["model_list"]
    assert model["model_name"] == "sim-1"
    assert model["litellm_params"] == {"model": "openai/sim-1", "api_base": url, "api_key": "none"}
    assert ("put the simulator's name in place of" in text) is elsewhere
    assert f"--sim {url}\n" in text


@pytest.mark.parametrize(("host", "name"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1")])
def test_envoy(host: str, name: str) -> None:
    """It listens beside the simulator, and its route leads to the one cluster, whose address is the simulator's."""
    resources = yaml.safe_load(config_for("envoy", host, 65535))["static_resources"]
    (listener,), (cluster,) = resources["listeners"], resources["clusters"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 65534}
    (chain,) = listener["filter_chains"]
    (virtual,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"]
    assert virtual["routes"][0]["route"]["cluster"] == cluster["name"]
    (endpoints,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = endpoints["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": name, "port_value": 65535}


def test_a_port_has_to_be_named(tmp_path: Path) -> None:
    """With port 0 no gateway could be told where the simulator will be: exit 2, one line that says what to do."""
    done = invoke("serve", "--port", "0", "--print-config", "nginx", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: --print-config with --port 0: name the port")


def test_the_gateways_of_the_command(tmp_path: Path) -> None:
    """The command offers each gateway that there is a configuration for."""
    assert f"[{'|'.join(GATEWAYS)}]" in invoke("serve", "--help", cwd=tmp_path).stdout
