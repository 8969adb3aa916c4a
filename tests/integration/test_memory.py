"""The memory meter against plugins whose memory is known, on the real simulator and in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.core.plugins.loader import builtin_folder, load
from bench.core.processes.child import python
from bench.records.schema import TABLES
from bench.run.measure import memory_rank
from bench.run.memory.call import TOKENS_PER_EVENT
from bench.run.memory.measure import MODULE, Job, measure
from bench.simulator.process import running
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

TEXT = builtin_folder() / "text.py"
SHORT, LONG = 500, 8000
DELTA = "response.output_text.delta"

PLUGIN = '''
"""A scenario whose memory is known."""
from bench import Scenario, hookimpl

KEPT = []

async def streamed(client, ask):
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            {each_event}
            if event.type == "response.output_text.delta":
                yield event.delta

async def blocking(client, ask):
    {blocking_first}
    return (await client.responses.create(**ask.request, stream=False)).output_text

@hookimpl
def register_scenarios():
    yield Scenario({name!r}, streamed, blocking)
'''

LEAK = f'KEPT.extend(bytearray(34) for _ in range({TOKENS_PER_EVENT})) if event.type == "{DELTA}" else None'
"""100 bytes: 56 for the object, 35 for its buffer, 9 for its place in the list. For every token of the event."""

CLEAN_PROCESS = """import sys
    heavy = {"pandas", "pyarrow", "scipy", "altair", "rich", "click", "uvicorn", "starlette"} & set(sys.modules)
    if heavy or max(THREADS) > 1:
        raise RuntimeError(f"{heavy} {THREADS}")"""

COUNT_THREADS = """import os
THREADS = []
os.register_at_fork(before=lambda: THREADS.append(len(os.listdir("/proc/self/task"))))
"""


def write(
    folder: Path, name: str, *, each_event: str = "pass", blocking_first: str = "pass", on_import: str = ""
) -> Path:
    """A plugin file with one scenario, and some code at its three places."""
    path = folder / f"{name}.py"
    path.write_text(PLUGIN.format(name=name, each_event=each_event, blocking_first=blocking_first) + on_import)
    return path


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator without pacing."""
    with running(profile="flood") as simulator:
        yield simulator.base_url


def run(plugin: Path, base_url: str, *options: str, lengths: str = "60,120") -> subprocess.CompletedProcess[str]:
    """The measuring process on its own."""
    command = [*python(MODULE), "--plugin", str(plugin), "--scenario", plugin.stem, "--base-url", base_url]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--lengths", lengths, *options], capture_output=True, text=True, env=env, timeout=60, check=False
    )


def rows_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What it printed, all of it rows."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def slope(rows: list[dict[str, Any]], scenario: str, delivery: str, meter: str) -> float:
    """Bytes per token between the two lengths."""
    asked = {"scenario": scenario, "delivery": delivery, "meter": meter}
    peak = {row["tokens"]: row["peak_bytes"] for row in rows if asked.items() <= row.items()}
    return float(peak[LONG] - peak[SHORT]) / (LONG - SHORT)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[str]]:
    """One pass over `text`, which drops every piece, and two that do not."""
    folder = tmp_path_factory.mktemp("plugins")
    jobs = [
        Job("text", TEXT),
        Job("leak", write(folder, "leak", each_event=LEAK)),
        Job("keep", write(folder, "keep", each_event="KEPT.append(event)")),
    ]
    return measure(jobs, seconds=90, lengths=(SHORT, LONG))


def test_every_point_is_a_row_of_the_table(known: tuple[list[dict[str, Any]], list[str]]) -> None:
    """A pass that fits gives each point once, with the columns of the table, its asked length and a number."""
    rows, notes = known
    assert notes == []
    assert len({(row["scenario"], row["delivery"], row["meter"], row["tokens"]) for row in rows}) == len(rows) == 24
    for row in rows:
        assert set(row) == {column.name for column in TABLES["memory"]}
        assert row["error"] is None
        assert row["output_tokens"] == row["tokens"]
        assert row["peak_bytes"] >= 0


def test_a_leak_of_100_bytes_a_token_is_found(known: tuple[list[dict[str, Any]], list[str]]) -> None:
    """A plugin that leaks 100 bytes a token grows by 100 ± 15 bytes a token more than one that does not."""
    rows, _ = known
    extra = slope(rows, "leak", "streamed", "tracemalloc") - slope(rows, "text", "streamed", "tracemalloc")
    assert 85 <= extra <= 115
    assert slope(rows, "leak", "streamed", "rss") > 85


def test_kept_events_cost_what_they_weigh(known: tuple[list[dict[str, Any]], list[str]]) -> None:
    """A plugin that keeps the SDK's events takes some 1.6 KB for each; one that drops them a small part of that."""
    rows, _ = known
    for meter in ("tracemalloc", "rss"):
        assert 1200 < slope(rows, "keep", "streamed", meter) * TOKENS_PER_EVENT < 2800
    assert slope(rows, "text", "streamed", "tracemalloc") < 80


def test_a_blocking_answer_takes_more_the_longer_it_is(known: tuple[list[dict[str, Any]], list[str]]) -> None:
    """RSS grows at least by the answer's own text (5 bytes a token): no warm-up has made room for it before."""
    rows, _ = known
    for scenario in ("text", "leak", "keep"):
        assert 5 < slope(rows, scenario, "blocking", "rss") < 60


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_both_ways_to_start_a_process_see_the_growth(base_url: str, tmp_path: Path, start: str) -> None:
    """Forked or started anew, a point of a plugin that keeps a kilobyte per token shows it."""
    kilobyte = f'KEPT.append(bytes({1024 * TOKENS_PER_EVENT})) if event.type == "{DELTA}" else None'
    plugin = write(tmp_path, "kilo", each_event=kilobyte)
    rows = rows_of(run(plugin, base_url, "--start", start, lengths="200,1700"))
    assert [row["error"] for row in rows] == [None] * 8
    for meter in ("rss", "tracemalloc"):
        peak = {r["tokens"]: r["peak_bytes"] for r in rows if (r["delivery"], r["meter"]) == ("streamed", meter)}
        assert 1_200_000 < peak[1700] - peak[200] < 2_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="forks only on Linux, and reads /proc")
def test_the_measuring_process_is_small(base_url: str, tmp_path: Path) -> None:
    """It imports nothing but the SDK and the plugin, and whenever it forks it has one thread."""
    rows = rows_of(run(write(tmp_path, "small", blocking_first=CLEAN_PROCESS, on_import=COUNT_THREADS), base_url))
    assert [row["error"] for row in rows] == [None] * 8


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("__import__('os').abort()", "the measuring process died (signal 6)"),
        ("__import__('os')._exit(3)", "the measuring process died (exit status 3)"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("ask.request.pop('metadata')", "got 1000"),
        ("return 'nothing was asked'", "without usage"),
    ],
)
def test_a_point_that_fails_is_a_row_without_a_number(base_url: str, tmp_path: Path, code: str, error: str) -> None:
    """A crash, an exception or an answer of the wrong length fails the point, says why, and the others go on."""
    long = "ask.output_tokens > 100"  # not in the short warm-up, which a crash would end
    rows = rows_of(run(write(tmp_path, "broken", blocking_first=f"if {long}: {code}"), base_url))
    broken = [row for row in rows if row["delivery"] == "blocking" and row["tokens"] == 120]
    assert len(rows) == 8
    assert len(broken) == 2
    assert all(row["error"] is None for row in rows if row not in broken)
    for row in broken:
        assert row["peak_bytes"] is row["base_bytes"] is row["output_tokens"] is None
        assert error in row["error"]


def test_what_a_plugin_prints_is_no_row(base_url: str, tmp_path: Path) -> None:
    """Only rows are on stdout, whatever a plugin writes there."""
    done = run(write(tmp_path, "chatty", blocking_first="print('hello', flush=True)"), base_url)
    assert len(rows_of(done)) == 8
    assert "hello" in done.stderr


def test_repetitions_go_on_while_there_is_time(base_url: str) -> None:
    """With time for it, every point is measured as often as asked, repetition by repetition."""
    rows = rows_of(run(TEXT, base_url, "--reps", "2", "--seconds", "50", lengths="50"))
    assert [row["rep"] for row in rows] == [0] * 4 + [1] * 4


def test_a_plugin_without_the_scenario_is_one_line(tmp_path: Path) -> None:
    """A plugin file that lacks the scenario ends the measuring process with a line naming file and scenario."""
    done = run(write(tmp_path, "mine").rename(tmp_path / "other.py"), "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert done.stderr.strip() == f"plugin {tmp_path / 'other.py'}: no scenario 'other'; it has mine"


def marked(mark: str) -> set[int]:
    """Processes whose environment carries a mark, this one left out."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes() and int(entry.name) != os.getpid():
                found.add(int(entry.name))
        except OSError:  # ended, or not ours
            continue
    return found


PASS = """
import os, sys
from pathlib import Path
from bench.run.memory.measure import Job, measure
jobs = [Job(path.stem, path) for path in map(Path, sys.argv[2:])]
rows, notes = measure(jobs, seconds=float(sys.argv[1]), on_progress=lambda row: print(row["scenario"], flush=True))
print(*notes, sep="\\n", flush=True)
"""


def start_pass(mark: str, seconds: float, *plugins: Path) -> subprocess.Popen[str]:
    """A pass in a process of its own; it and everything it starts carry the mark."""
    return subprocess.Popen(
        [sys.executable, "-c", PASS, str(seconds), *map(str, plugins)],
        cwd=ROOT,
        env={**os.environ, "MEMORY_TEST": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_time_is_kept_and_nothing_stays_behind(tmp_path: Path) -> None:
    """A scenario that hangs is ended with its time, the note says what is missing, and no process is left."""
    began = time.monotonic()
    hanging = write(tmp_path, "hanging", blocking_first="if ask.output_tokens > 100: __import__('time').sleep(99)")
    with start_pass(str(tmp_path), 6, TEXT, hanging) as process:
        out, _ = process.communicate(timeout=30)
    assert time.monotonic() - began < 9
    assert process.returncode == 0
    assert "memory of hanging: " in out
    assert "points did not fit into the time" in out
    assert marked(str(tmp_path)) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    """An interrupted pass ends the simulator and every measuring process, and the interrupt goes on to the caller."""
    with start_pass(str(tmp_path), 60, TEXT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "text\n"
        assert len(marked(str(tmp_path))) >= 3
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert marked(str(tmp_path)) == set()


def test_a_plugin_that_cannot_be_loaded_is_a_note(tmp_path: Path) -> None:
    """A job whose plugin fails to import gives no row and a note that says so; the pass goes on."""
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    rows, notes = measure([Job("broken", broken)], seconds=20, lengths=(50,))
    assert rows == []
    assert len(notes) == 1
    assert notes[0].startswith(f"memory of broken: not measured: plugin {broken} fails to import: ZeroDivisionError")


def test_rather_a_few_whole_than_all_in_part(tmp_path: Path) -> None:
    """Where the next batch would not fit, it is left out whole, and one note names its scenarios."""
    slow = write(tmp_path, "slow", blocking_first="if ask.output_tokens > 100: __import__('time').sleep(99)")
    others = [Job(name, write(tmp_path, name)) for name in ("second", "third")]
    rows, notes = measure([Job("slow", slow), *others], seconds=4, workers=1, lengths=(120,))
    assert {row["scenario"] for row in rows} <= {"slow"}
    assert notes[-1] == "memory of second, third: not measured in 4 s; run them by name"
    assert sum("second" in note or "third" in note for note in notes) == 1


def test_the_core_scenarios_come_first() -> None:
    """There may be no time for the others; of the core set that of Responses comes first."""
    chosen = load().scenarios
    ranked = sorted((scenario for scenario, _ in chosen.values() if scenario.memory), key=memory_rank)
    assert [scenario.name for scenario in ranked[:3]] == ["function_call", "structured_output", "text"]
    assert [scenario.api for scenario in ranked[3:6]] == ["chat"] * 3
