"""aimock, a server this project did not write, and a bare socket that reads what it sends."""

from __future__ import annotations

import fcntl
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.parse import urlsplit

PACKAGE, VERSION = "@copilotkit/aimock", "1.43.0"
FIXTURES = Path(__file__).with_name("aimock")
START_S = 20.0
LAST_CHUNK = b"\r\n0\r\n\r\n"
EVENT = re.compile(rb'data: \{"type":"([^"]+)".*?\n\n', re.DOTALL)


def install(folder: Path) -> Path:
    """The package below `folder`, from npm unless it is already there."""
    package = folder / "node_modules" / PACKAGE
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # workers of pytest-xdist share the folder
        if not package.is_dir() or json.loads((package / "package.json").read_text())["version"] != VERSION:
            command = ["npm", "install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run([*command, "--prefix", str(folder), f"{PACKAGE}@{VERSION}"], check=True, timeout=100)
    return package


@contextmanager
def aimock(package: Path, log: Path, names: Sequence[str] = ("scenarios", "failures")) -> Iterator[str]:
    """Its base URL while it runs on a free loopback port with these of this project's fixtures, the first that fits."""
    fixtures = [word for name in names for word in ("--fixtures", str(FIXTURES / f"{name}.json"))]
    command = ["node", str(package / "dist" / "cli.js"), "--port", "0", "--validate-on-load", *fixtures]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield f"{address(process, log)}/v1"
        finally:
            process.terminate()


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as soon as it says so."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"listening on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise RuntimeError(f"aimock did not start: {log.read_text()}")


@dataclass(frozen=True)
class Reading:
    """What a bare socket saw: ms from sending the request to each event and to the end."""

    events: Sequence[tuple[str, float]]
    end: float

    def deltas(self) -> list[float]:
        """The times of the deltas."""
        return [at for kind, at in self.events if kind.endswith(".delta")]


def read_bare(base_url: str, body: Mapping[str, Any]) -> Reading:
    """One request to `/responses`, read by nothing but a socket, each event stamped with the read that completed it."""
    url = urlsplit(base_url)
    content = json.dumps(body).encode()
    head = f"POST {url.path}/responses HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    text, events = b"", list[tuple[str, float]]()
    start = perf_counter_ns()
    with socket.create_connection((str(url.hostname), url.port)) as connection:
        connection.sendall(head.encode() + content)
        while not text.endswith(LAST_CHUNK) and (data := connection.recv(65536)):
            at = (perf_counter_ns() - start) / 1e6
            text += data
            seen = [match[1].decode() for match in EVENT.finditer(text)]
            events += [(kind, at) for kind in seen[len(events) :]]
    return Reading(events, (perf_counter_ns() - start) / 1e6)
