"""The simulator as a server: a socket, a line that says where, and an end that is clean."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import orjson
import uvicorn

from bench.core.errors import BenchError
from bench.simulator.conformance_set import conformance_scripts
from bench.simulator.fault_injection.chances import parse_chances
from bench.simulator.process import Simulator
from bench.simulator.routes.app import create_app
from bench.simulator.routes.websocket import websocket_support
from bench.simulator.script_file import read_scripts
from bench.simulator.simulation import Simulation
from bench.simulator.timing.profiles import DEFAULT_PROFILE, find_profile
from bench.simulator.truth import TruthLog

_KEEP_ALIVE_S = 600
_GRACE_S = 2.0
KEEP = 64
"""Responses that `bench serve` keeps: more than an examination has under way."""


def print_json(simulator: Simulator) -> None:
    """Say as one line of JSON on stdout where the simulator is."""
    sys.stdout.write(orjson.dumps(simulator).decode() + "\n")
    sys.stdout.flush()


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    profile: str = DEFAULT_PROFILE,
    seed: int = 0,
    truth: Path | None = None,
    faults: Sequence[str] = (),
    script: Path | None = None,
    conformance: bool = False,
    nonce: str | None = None,
    keep: int = 0,
    watch_stdin: bool = False,
    announce: Callable[[Simulator], None] = print_json,
) -> None:
    """Serve until SIGINT, SIGTERM or, if watched, the end of stdin. `announce` is called once, when it listens.

    `keep`: number of responses that stay in memory, for requests of `/bench/sent/NONCE` (what was sent when).
    Raises `BenchError` for an unknown profile, an address that cannot be had, a truth file that cannot be written, a
    fault or a script that is wrong.
    Call it in the main thread: it handles the signals for the rest of the process.
    """
    find_profile(profile)
    chances = parse_chances(faults)
    scripts = {**(conformance_scripts() if conformance else {}), **(read_scripts(script) if script else {})}
    nonce = nonce or secrets.token_hex(16)
    with closing(TruthLog(truth, keep)) as log, _listen(host, port) as listener:
        simulation = Simulation(profile=profile, seed=seed, nonce=nonce, truth=log, scripts=scripts, chances=chances)
        server = uvicorn.Server(_config(create_app(simulation)))
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, _leave)
        if watch_stdin:
            threading.Thread(target=end_with_stdin, args=(server,), daemon=True).start()
        announce(Simulator(_base_url(host, listener), nonce, os.getpid()))
        gc.freeze()  # what lives as long as the process is not looked through in the middle of a stream
        server.run(sockets=[listener])


def _config(app: object) -> uvicorn.Config:
    """Plain asyncio on purpose: it writes a frame to the socket when told to; uvloop keeps it for its next round."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="httptools",
        loop="asyncio",
        ws=websocket_support(),
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=0,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BenchError(
            f"cannot listen on {host} port {port} ({reason}); use --port 0 for a free port, or another --host"
        ) from error
    # Accepted sockets inherit it. asyncio would set it itself, but not on a socket made without a protocol number;
    # with Nagle's algorithm the second frame of an answer waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _base_url(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/v1"


def _leave(*_: object) -> None:
    """Exit with 0: what the signal means before uvicorn takes over and after it has shut down."""
    raise SystemExit(0)


def end_with_stdin(server: uvicorn.Server) -> None:
    """Wait for the end of stdin, then end this process: cleanly, or after 2 s by force if its loop does not answer."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.should_exit = True
    time.sleep(_GRACE_S)
    os._exit(1)
