"""`bench run --workers N`: real processes that measure together, and one of them lost on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.plan.plan import Group, Plan, PlannedTrial
from bench.records import journal as records
from tests.support.cli import bench, invoke, only_run, started
from tests.support.paths import ROOT

QUICKLY = ("--no-memory", "--no-self-check", "--seed", "3")
END_S = 60


@dataclass
class Ran:
    """A run with several workers, read back."""

    code: int
    err: str
    folder: Path
    plan: Plan = field(init=False)
    manifest: dict[str, Any] = field(init=False)
    trials: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.plan = Plan.from_json(records.read_json(self.folder / "plan.json"))
        self.manifest = records.read_manifest(self.folder)
        self.trials = records.read(self.folder)["trials"].to_pylist()

    def of(self, group: Group) -> list[dict[str, Any]]:
        """The rows of a segment."""
        ids = {unit[0].trial_id for unit in group.units()}
        return [row for row in self.trials if row["trial_id"] in ids]


def run(folder: Path, *options: str | Path) -> Ran:
    done = bench("run", *options, *QUICKLY, cwd=folder)
    assert list((folder / "reports").iterdir()), done.stderr
    return Ran(done.returncode, done.stderr, only_run(folder))


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Eight pairs by two workers, three at a time."""
    folder = tmp_path_factory.mktemp("together")
    return run(folder, "text", "--workers", "2", "--concurrency", "3", "--requests", "8", "--output-tokens", "10")


def expected(planned: PlannedTrial) -> dict[str, Any]:
    names = ("trial_id", "cell", "pair", "block", "order", "phase", "delivery", "ask", "nonce")
    return {name: getattr(planned, name) for name in names}


@pytest.mark.slow
def test_they_measure_what_one_process_would(together: Ran) -> None:
    """Every trial of the plan once, with its ask and nonce, by the worker whose place it is."""
    assert together.code == 0, together.err
    rows = {row["trial_id"]: row for row in together.trials}
    for group in together.plan.groups():
        for place, unit in enumerate(group.units()):
            row = rows.pop(unit[0].trial_id)
            assert expected(unit[0]).items() <= row.items()
            assert (row["status"], row["worker"]) == ("ok", str(1 + place % 2))
    assert not rows
    assert "measured by 2 processes of this machine" in together.manifest["notes"]
    assert records.read_json(together.folder / "plan.json")["workers"] == 2


@pytest.mark.slow
def test_segments_do_not_overlap(together: Ran) -> None:
    """No worker begins a segment before all have ended the one before; together they keep to the concurrency."""
    ends = 0
    for group in together.plan.groups():
        rows = together.of(group)
        assert min(row["t_origin"] for row in rows) >= ends
        ends = max(row["t_end"] for row in rows)
        for row in rows:
            beside = [other for other in rows if other["t_origin"] <= row["t_origin"] < other["t_end"]]
            assert len(beside) <= 3


@pytest.mark.slow
def test_each_worker_is_watched(together: Ran) -> None:
    """Every process has a heartbeat of its own; what counts up for the whole machine is told by one of them."""
    probes = records.read(together.folder)["probes"].to_pylist()
    assert {row["worker"] for row in probes if row["name"] == "loop_lag"} == {"1", "2"}
    assert {row["worker"] for row in probes if row["name"] == "cpu_time"} == {"1"}


@pytest.mark.slow
def test_quantiles_are_of_the_merged_samples(together: Ran) -> None:
    """A median lies within the samples of all workers; it is no mean of theirs."""
    totals = sorted(
        (row["t_end"] - row["t_origin"]) / 1e6
        for row in together.trials
        if row["phase"] == "measure" and row["delivery"] == "streamed"
    )
    summary = records.read_json(together.folder / "summary.json")
    (found,) = [
        row
        for row in summary["rows"]
        if (row["metric"], row["statistic"], row["delivery"]) == ("total", "p50", "streamed")
    ]
    assert found["n"] == len(totals) == 8
    assert totals[3] <= found["estimate"] <= totals[4]


@pytest.mark.slow
def test_open_loop_is_split_by_arrivals(tmp_path: Path) -> None:
    """The arrivals are the plan's, whichever worker they fall to, and both deliveries have the same."""
    ran = run(tmp_path, "text", "--workers", "2", "--rate", "20", "--requests", "20", "--output-tokens", "5")
    assert ran.code == 0, ran.err
    for group in ran.plan.groups():
        due = {unit[0].trial_id: unit[0].due or 0 for unit in group.units()}
        starts = [row["t_intend"] - due[row["trial_id"]] for row in ran.of(group)]
        assert max(starts) - min(starts) < 500e6, "both began the segment at about one time"
        assert {row["worker"] for row in ran.of(group)} == {"1", "2"}


@pytest.mark.slow
def test_a_plugin_of_the_users_own_by_the_client_wire(tmp_path: Path) -> None:
    """Each worker loads the file itself and has a process of its own that sends and reads."""
    source = (ROOT / "plugins/text.py").read_text().replace('"text"', '"mine"')
    (tmp_path / "mine.py").write_text(source)
    ran = run(tmp_path, "./mine.py", "--workers", "2", "--concurrency", "4", "--requests", "8", "--client", "wire")
    assert ran.code == 0, ran.err
    assert Counter(row["status"] for row in ran.trials) == {"ok": len(ran.trials)}
    cells = records.read(ran.folder)["cells"].to_pylist()
    assert {row["worker"] for row in cells} == {"1", "2"}


@pytest.mark.slow
def test_what_is_unsupported_is_told_to_all(tmp_path: Path) -> None:
    """Each worker sees a part of the warm-up only; together they find out, and none measures the cell."""
    ran = run(tmp_path, "text", "--workers", "2", "--concurrency", "2", "--requests", "4", "--fault", "400=1")
    assert ran.code == 3
    assert ran.err.count("unsupported: text on sim") == 2, "a line on the way, and the reason of the exit code"
    assert {row["phase"] for row in ran.trials} == {"warmup"}
    cells = records.read(ran.folder)["cells"].to_pylist()
    assert sum(row["unsupported"] is not None for row in cells) == 1


@pytest.mark.slow
def test_a_plugin_that_fails_ends_the_run(tmp_path: Path) -> None:
    """Its first error in the warm-up of any worker is the one line of the command, and nothing is left behind."""
    (tmp_path / "broken.py").write_text(
        "from bench import Scenario, hookimpl\n\n"
        "async def streamed(client, ask):\n    yield 1 / 0\n\n"
        '@hookimpl\ndef register_scenarios():\n    yield Scenario("broken", streamed)\n'
    )
    done = invoke("run", "./broken.py", "--workers", "2", "--concurrency", "2", *QUICKLY, cwd=tmp_path)
    assert done.returncode == 2
    assert "bench: scenario 'broken' failed in warm-up (streamed): ZeroDivisionError" in done.stderr
    assert not list((tmp_path / "reports").iterdir())


def begun(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A run that would take long, once measured trials have ended."""
    child = started("run", "text", "--concurrency", "4", *options, *QUICKLY, cwd=folder)
    deadline = time.monotonic() + END_S
    while not measured(folder):
        if child.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(child.communicate()[1])
        time.sleep(0.1)
    return child


def measured(folder: Path) -> bool:
    journals = list(folder.glob("reports/*/journal.jsonl"))
    return bool(journals) and b'"trial_id":[12]' in journals[0].read_bytes()


def workers_of(pid: int) -> list[int]:
    """Processes of workers that this process has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = Path(f"/proc/{pid}/task").iterdir()
    children += [one for thread in threads for one in (thread / "children").read_text().split()]
    return sorted(
        {int(one) for one in children if b"bench.run.workers.worker" in Path(f"/proc/{one}/cmdline").read_bytes()}
    )


@pytest.mark.slow
def test_a_lost_worker_is_named_and_its_trials_are_failures(tmp_path: Path) -> None:
    """The others go on, and carry the later segments by themselves."""
    child = begun(tmp_path, "--workers", "2", "--requests", "40")
    gone = workers_of(child.pid)[0]
    os.kill(gone, signal.SIGKILL)
    _, err = child.communicate(timeout=END_S)
    ran = Ran(child.returncode, err, only_run(tmp_path))
    assert ran.code == 0, err
    assert f"(process {gone}) was lost: killed by SIGKILL" in err
    assert any(f"(process {gone})" in note for note in ran.manifest["notes"])
    groups = [group for group in ran.plan.groups() if group.phase == "measure"]
    for group in groups:
        assert len(ran.of(group)) == group.size, "no trial of the plan is gone"
    statuses = [Counter(row["status"] for row in ran.of(group)) for group in groups]
    assert sum(found["lost"] for found in statuses) > 0
    assert sum(bool(found["lost"]) for found in statuses) == 1
    assert statuses[-1] == {"ok": groups[-1].size}
    assert "lost" in (ran.folder / "report.md").read_text()


@pytest.mark.slow
def test_when_all_are_lost_what_was_measured_is_reported(tmp_path: Path) -> None:
    """Exit 3, and a report of what there is."""
    child = begun(tmp_path, "--workers", "2", "--requests", "40")
    for pid in workers_of(child.pid):
        os.kill(pid, signal.SIGKILL)
    _, err = child.communicate(timeout=END_S)
    ran = Ran(child.returncode, err, only_run(tmp_path))
    assert ran.code == 3, err
    assert "bench: all workers were lost" in err
    assert ran.manifest["ended"] == "all workers were lost"
    assert {"ok", "lost"} <= {row["status"] for row in ran.trials}


@pytest.mark.slow
def test_ctrl_c_ends_all_with_what_was_measured(tmp_path: Path) -> None:
    """What was in flight is cancelled, the rest is reported, and no worker is left."""
    child = begun(tmp_path, "--workers", "2", "--requests", "400")
    pids = workers_of(child.pid)
    assert len(pids) == 2
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=END_S)
    ran = Ran(child.returncode, err, only_run(tmp_path))
    assert ran.code == 130, err
    assert ran.manifest["ended"] == "interrupted"
    assert {"ok", "cancelled"} <= {row["status"] for row in ran.trials}
    assert "lost" not in {row["status"] for row in ran.trials}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.slow
def test_with_the_run_its_workers_end(tmp_path: Path) -> None:
    """A run that is killed leaves no process that goes on spending."""
    child = begun(tmp_path, "--workers", "2", "--requests", "400")
    pids = workers_of(child.pid)
    child.kill()
    child.communicate(timeout=END_S)
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
