"""`transformers serve`, a server this project did not write, with a tiny model of this project's own behind it.

Its packages (1.2 GB) live in an environment of their own: `make transformers`, or BENCH_TORCH_PYTHON names its Python.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT

NAMED = os.environ.get("BENCH_TORCH_PYTHON")
"""Read before the tests' own environment is made clean."""
START_S = 120.0


def missing() -> str | None:
    """What is missing to run it; None when nothing is."""
    if python().exists():
        return None
    return f"needs transformers serve: make transformers, or BENCH_TORCH_PYTHON=PYTHON that has it (no {python()})"


def python() -> Path:
    """The Python that has torch and transformers."""
    return Path(NAMED) if NAMED else ROOT / ".venv-torch" / "bin" / "python"


def build(folder: Path) -> Path:
    """The tiny model, made anew."""
    script = Path(__file__).with_name("tiny_model.py")
    done = subprocess.run(
        [python(), script, folder], env=environment(folder.parent), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the model could not be built: {done.stderr}")
    return folder


def environment(home: Path) -> dict[str, str]:
    """No download, no cache of this machine, one thread."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**os.environ, **offline, "HF_HOME": str(home / "hub"), "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """Its base URL while it runs on a free loopback port with this model loaded."""
    program = python().with_name("transformers")
    command: list[str | Path] = [program, "serve", model, "--host", "127.0.0.1", "--port", "0", "--device", "cpu"]
    surroundings = environment(model.parent)
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=surroundings, stdout=output, stderr=output) as process,
    ):
        try:
            yield f"{address(process, log)}/v1"
        finally:
            process.kill()  # when asked politely it waits for connections to close


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as soon as it says so: the model is loaded by then."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"running on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start: {log.read_text()}")
