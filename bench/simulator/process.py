"""The simulator as a child process: started, known to be ours, and ended."""

from __future__ import annotations

import http.client
import json
import secrets
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.core.errors import BenchError
from bench.core.processes.child import end, last_lines, spawn
from bench.simulator.timing.profiles import DEFAULT_PROFILE

_START_S = 30.0


@dataclass(frozen=True)
class Simulator:
    """A simulator that listens."""

    base_url: str
    """Ends in `/v1`."""
    nonce: str
    """What its `/bench/identity` answers with."""
    pid: int


@contextmanager
def running(
    *,
    profile: str = DEFAULT_PROFILE,
    seed: int = 0,
    truth: Path | None = None,
    faults: Sequence[str] = (),
    script: Path | None = None,
    conformance: bool = False,
    keep: int = 0,
) -> Iterator[Simulator]:
    """Run a simulator on a free loopback port, in a process of its own that ends with the block or with this process.

    The process has a session of its own, so Ctrl-C in the terminal reaches only the caller. Raises
    `BenchError`, with what the child said last, when it does not come up within 30 s or when somebody else answers at
    its address.
    """
    nonce = secrets.token_hex(16)
    options = ["--profile", profile, "--seed", str(seed), "--nonce", nonce, "--watch-stdin"]
    options += [f"--truth={truth}"] if truth else []
    options += [f"--script={script}"] if script else []
    options += [f"--fault={fault}" for fault in faults]
    options += ["--conformance"] if conformance else []
    options += [f"--keep={keep}"] if keep else []
    with (
        tempfile.TemporaryFile() as errors,
        spawn("bench.simulator", *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as child,
    ):
        try:
            if not (line := _first_line(child)):
                raise BenchError(f"the simulator did not start: {last_lines(errors, 5) or 'it said nothing'}")
            simulator = Simulator(**json.loads(line))
            _verify(simulator.base_url, nonce)
            yield simulator
        finally:
            end(child, patience_s=0)


def _first_line(child: subprocess.Popen[bytes]) -> bytes:
    """Return the line that the process prints when it listens; empty when it ends or stays silent for too long."""
    assert child.stdout is not None  # noqa: S101
    too_long = threading.Timer(_START_S, child.kill)
    too_long.start()
    try:
        return child.stdout.readline()
    finally:
        too_long.cancel()


def _verify(base_url: str, nonce: str) -> None:
    """Raise unless the server at that address knows the nonce."""
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_START_S)
    try:
        connection.request("GET", "/bench/identity")
        known = json.loads(connection.getresponse().read()).get("nonce") == nonce
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        known = False
    finally:
        connection.close()
    if not known:
        raise BenchError(f"{base_url} is answered by something else than the simulator that was started; run again")
