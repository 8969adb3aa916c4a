"""Count how often `bench doctor` is right about parts whose truth is known, on an idle or on a busy machine.

    python -m tools.measure.doctor [ROUNDS] [--busy N]      about 75 s a round; 20 rounds for what docs/doctor.md says

Each round examines every part once, as `bench doctor --api responses --mode text` does (tools too where they are the
point), preflight and verdict included. `--busy N` lets N processes count in a loop beside it. Whatever is not right is
said on stderr with its evidence. Parts that need nginx or LiteLLM are left out where these are missing.
"""

# ruff: noqa: T201

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.doctor.command import admit
from bench.doctor.conclude import conclude
from bench.doctor.diagnosis import UNDECIDED, Diagnosis, Mode, Verdict
from bench.doctor.endpoints import choose
from bench.doctor.probe.examine import Examination, Patient, examine
from bench.doctor.settings import DoctorSettings
from bench.simulator.process import running
from tests.support.parts import litellm as litellm_part
from tests.support.parts import nginx as nginx_part
from tests.support.parts.litellm import litellm
from tests.support.parts.nginx import authority, nginx
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import WAYS

DIRECT: Mapping[str, Verdict] = {
    "plain": "streaming",
    "fast": "streaming",
    "two_by_two": "streaming",
    "irregular": "streaming",
    "noisy_first": "streaming",
    "every_40_ms": "bursty",
    "late": "blocked",
    "at_once": "fake",
    "replayed": "fake",
}
"""Servers of tests/support/parts/ways.py, and the text's true verdict."""
BEHIND: Mapping[str, tuple[Mapping[str, Any], Verdict]] = {
    "nginx": ({}, "bursty"),
    "nginx, proxy_buffering off": ({"buffering": False}, "streaming"),
    "nginx, TLS": ({"tls": True}, "bursty"),
    "nginx, gzip": ({"gzip": True}, "blocked"),
}
"""What nginx is told in front of `plain`, which answers HTTP/1.0 without chunks."""
BUSY = "while True: pass"


@dataclass(frozen=True)
class Part:
    """Something to be examined, and what is true of it."""

    name: str
    base_url: str
    expected: Mapping[Mode, Verdict]


@contextmanager
def parts(folder: Path) -> Iterator[list[Part]]:
    """All that this machine has the tools for, while they run."""
    with ExitStack() as stack:
        simulator = stack.enter_context(running()).base_url
        ways = {name: stack.enter_context(redelivered(simulator, WAYS[name])) for name in (*DIRECT, "arguments_whole")}
        found = [Part(name, ways[name], {"text": verdict}) for name, verdict in DIRECT.items()]
        found += [Part("arguments_whole", ways["arguments_whole"], {"text": "streaming", "tools": "fake"})]
        for name, (told, verdict) in BEHIND.items() if not nginx_part.missing() else ():
            base_url = stack.enter_context(nginx(folder / name, ways["plain"], **told))
            found.append(Part(name, base_url, {"text": verdict}))
        if not litellm_part.missing():
            base_url = stack.enter_context(litellm(folder / "litellm", ways["plain"]))
            found.append(Part("LiteLLM", base_url, {"text": "streaming"}))
        yield found


def examine_part(part: Part, reference_url: str) -> tuple[list[Patient], Examination]:
    """Do what the command does up to the last answer, in a process of its own as there."""
    settings = DoctorSettings(base_urls=[part.base_url], models=["sim-1"], api="responses", modes=list(part.expected))
    found = Examination()

    async def ask() -> list[Patient]:
        patients, _ = await admit(choose(settings), settings, [])
        await examine(
            patients,
            settings.questions,
            found,
            reference_url=reference_url,
            deadline_s=settings.deadline,
            seed=settings.seed,
            step=lambda _: None,
        )
        return [
            replace(patient, redact=str) for patient in patients
        ]  # what redacts cannot be sent to the process that judges

    return asyncio.run(ask()), found


def judge_part(part: Part, diagnosis: Diagnosis) -> str:
    """Return `right`, `wrong` where a mode has another verdict than it should, else `inconclusive`."""
    said = {one.mode: one.verdict for one in diagnosis.findings}
    if said == part.expected:
        return "right"
    off = {verdict for mode, verdict in part.expected.items() if said.get(mode) != verdict}
    undecided = all(said.get(mode) in {verdict, UNDECIDED} for mode, verdict in part.expected.items())
    kind = "inconclusive" if off and undecided else "wrong"
    for one in diagnosis.findings:
        print(f"{kind}: {part.name}, {one.mode}: {one.verdict} {json.dumps(one.numbers)}", file=sys.stderr)
    print(f"{kind}: {diagnosis.floor}", file=sys.stderr, flush=True)
    return kind


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Keep `number` processes busy, each with all of a core."""
    with ExitStack() as stack:
        for _ in range(number):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(process.kill)
        yield


def main(rounds: int, loops: int) -> None:
    """Print the table."""
    counts: dict[str, Counter[str]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        found = stack.enter_context(parts(folder))
        os.environ["SSL_CERT_FILE"] = str(authority(folder / "nginx, TLS"))  # for the process that examines
        reference = stack.enter_context(running()).base_url
        spawned = multiprocessing.get_context("spawn")
        apart = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawned))
        stack.enter_context(busy(loops))
        for number in range(1, rounds + 1):
            for part in found:
                patients, seen = apart.submit(examine_part, part, reference).result()
                diagnosis = conclude(patients, seen, again="", requests=0, notes=[])
                counts.setdefault(part.name, Counter())[judge_part(part, diagnosis)] += 1
            print(f"(round {number} of {rounds})", file=sys.stderr, flush=True)
    print("| part | is | right | inconclusive | wrong |\n| --- | --- | ---: | ---: | ---: |")
    for part in found:
        expected = ", ".join(dict.fromkeys(f"{mode} {verdict}" for mode, verdict in part.expected.items()))
        numbers = " | ".join(str(counts[part.name][kind]) for kind in ("right", "inconclusive", "wrong"))
        print(
            f"| {part.name} | {expected.removeprefix('text ') if len(part.expected) == 1 else expected} | {numbers} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int, default=20)
    parser.add_argument("--busy", type=int, default=0, metavar="N")
    options = parser.parse_args()
    main(options.rounds, options.busy)
