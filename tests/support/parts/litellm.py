"""LiteLLM's proxy, a gateway that reads each event and writes it anew, in front of a server.

Its packages (750 MB) live in an environment of their own: `make litellm`, or BENCH_LITELLM_PYTHON names its Python.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

NAMED = os.environ.get("BENCH_LITELLM_PYTHON")
"""Read before the tests' own environment is made clean."""
START_S = 60.0
END_S = 10.0
ALONE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "NO_PROXY": "127.0.0.1"}
"""Nothing is fetched, nothing is told."""


def missing() -> str | None:
    """What is missing to run it; None when nothing is."""
    if python().exists():
        return None
    return f"needs LiteLLM's proxy: make litellm, or BENCH_LITELLM_PYTHON=PYTHON that has it (no {python()})"


def python() -> Path:
    """The Python that has it."""
    return Path(NAMED) if NAMED else ROOT / ".venv-litellm" / "bin" / "python"


@contextmanager
def litellm(folder: Path, upstream: str, *, model: str = "sim-1", passing: bool = False) -> Iterator[str]:
    """Its base URL while it runs on a free loopback port; it asks for no key, and tries once.

    `passing`: what it keeps for itself as it comes out of its package, Chat's `metadata` and the client's `x-` headers,
    goes upstream too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, config = folder / "log", folder / "config.yaml"
    config.write_text(json.dumps(configuration(upstream, model, passing)))  # JSON is YAML
    command: list[str | Path] = [
        python().with_name("litellm"),
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    surroundings = {**os.environ, **ALONE, "HOME": str(folder)}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=surroundings, stdout=output, stderr=output) as process,
    ):
        try:
            yield f"{address(process, log)}/v1"
        finally:
            end(process)


def configuration(upstream: str, model: str, passing: bool) -> dict[str, Any]:
    """One model, known by its own name, and no waiting for a second try: what fails is to be seen."""
    parameters = {"model": f"openai/{model}", "api_base": upstream, "api_key": "none", "max_retries": 0}
    return {
        "model_list": [{"model_name": model, "litellm_params": parameters}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "litellm_settings": {"enable_preview_features": passing},
        "general_settings": {
            "dangerously_permit_weak_or_unset_master_key": True,
            "forward_client_headers_to_llm_api": passing,
        },
    }


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as soon as it says so."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"running on (http://\S+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"LiteLLM did not start: {log.read_text()}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Politely, then not."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
