"""Does the gate see a slowdown of 10 %, and does it leave equal runs alone? For docs/statistics.md.

    python -m tools.measure.gate [TIMES]      about 35 s each; 20 times for what it says

Each time the simulator is measured as it is and 10 % slower, and `bench compare` is asked for `text.ttft:+3%`: of the
slower run with the one before it, and of each two equal runs that follow each other.
"""

# ruff: noqa: T201

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

RUN = ["run", "text", "--pairs", "36", "--output-tokens", "20", "--no-memory", "--no-self-check"]
CONDITION = "text.ttft:+3%"
SLOWER = "quick:1.1"
VERDICTS = {0: "PASS", 1: "FAIL", 4: "UNDECIDED"}
INVALID = 3
MOST_TRIES = 5
"""Of a run that finds itself INVALID, as on a machine with other work to do."""


class Judgement(NamedTuple):
    """The verdict of the gate on two runs, and the change it saw, as fractions."""

    verdict: str
    ratio: float
    low: float
    high: float


def bench(*arguments: str, folder: Path) -> int:
    """Run the command and return its exit code; a mistake ends the script with what the command printed."""
    command = [sys.executable, "-m", "bench", *arguments, "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in {*VERDICTS, INVALID}:
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode


def measure(name: str, profile: str, folder: Path) -> str:
    """Measure until the run is valid, and return its name; each invalid try is reported."""
    for _ in range(MOST_TRIES):
        if not bench(*RUN, "--profile", profile, "--name", name, folder=folder):
            return name
        print(f"({name}: the run found itself INVALID, measured again)", file=sys.stderr, flush=True)
    raise SystemExit(f"{name}: {MOST_TRIES} runs found themselves INVALID; use an idle machine")


def judge(baseline: str, current: str, folder: Path) -> Judgement:
    """Judge the current run: the verdict, and the change of its median time to the first token."""
    code = bench("compare", baseline, current, "--fail-on", CONDITION, folder=folder)
    named = (file for file in folder.glob("*/manifest.json") if json.loads(file.read_text())["name"] == current)
    run = max(named).parent
    wanted = {"delivery": "streamed", "metric": "ttft", "statistic": "p50"}
    changes = json.loads((run / "compare.json").read_text())["changes"]
    (found,) = (change for change in changes if wanted.items() <= change.items())
    return Judgement(VERDICTS[code], found["ratio"], found["low"], found["high"])


def compare_all(times: int, folder: Path) -> Iterator[tuple[str, Judgement]]:
    """Yield for each comparison what was compared, and its outcome."""
    before = measure("equal-0", "quick", folder)
    for number in range(1, times + 1):
        slower = measure(f"slower-{number}", SLOWER, folder)
        yield "10 % slower", judge(before, slower, folder)
        equal = measure(f"equal-{number}", "quick", folder)
        yield "equal", judge(before, equal, folder)
        before = equal


def main(times: int) -> None:
    """Print each comparison as it comes, and the counts."""
    counts: dict[str, Counter[str]] = {}
    print(f"| runs | {CONDITION} | change of the median TTFT, % |\n| --- | --- | --- |")
    with TemporaryDirectory() as folder:
        for kind, one in compare_all(times, Path(folder)):
            counts.setdefault(kind, Counter())[one.verdict] += 1
            ratio, low, high = (f"{100 * x:+.1f}" for x in one[1:])
            print(f"| {kind} | {one.verdict} | {ratio} [{low}, {high}] |", flush=True)
    for kind, found in counts.items():
        print(f"\n{kind}: {', '.join(f'{number} {verdict}' for verdict, number in found.most_common())}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
