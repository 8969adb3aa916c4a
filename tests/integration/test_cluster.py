"""`bench run --scheduler`: a real Dask scheduler and workers, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError
from bench.core.target import SIM, Target
from bench.plan.plan import Plan
from bench.plan.settings import Settings
from bench.records import journal as records
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.preflight.preflight import PreflightResult
from bench.run.workers.dask.cluster import check_reach, check_versions, connect, with_cluster_size
from bench.run.workers.dask.relay import Names, StartedTwice, claim, relay
from bench.simulator.process import running
from tests.support.cli import bench, environment, invoke, only_run, started
from tests.support.paths import ROOT

QUICKLY = ("--no-memory", "--no-self-check", "--seed", "3")
END_S = 60


@dataclass
class Cluster:
    """A scheduler with its workers."""

    address: str
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self.workers]


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """It runs while the block does."""
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
        _dask(stack, folder, *scheduler)
        _wait(file.exists, folder)
        address = str(records.read_json(file)["address"])
        found = Cluster(address, folder)
        for _ in range(workers):
            found.workers.append(_dask(stack, folder, "worker", address, "--no-nanny", "--nthreads", "1"))
        _wait(lambda: (folder / "dask.log").read_text().count("Registered to") >= workers, folder)
        yield found


def _dask(stack: ExitStack, folder: Path, kind: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, "--no-dashboard"]
    log = stack.enter_context((folder / "dask.log").open("ab"))
    child = stack.enter_context(subprocess.Popen(command, env=environment(), stderr=log, cwd=folder))
    stack.callback(child.terminate)
    return child


def _wait(done: Any, folder: Path) -> None:
    deadline = time.monotonic() + END_S
    while not done():
        assert time.monotonic() < deadline, (folder / "dask.log").read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that nothing happens to."""
    with cluster(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


def trials_of(run: Path) -> list[dict[str, Any]]:
    return records.read(run)["trials"].to_pylist()


@pytest.mark.slow
def test_a_cluster_measures_what_one_process_would(tmp_path: Path, two: Cluster) -> None:
    """Every trial of the plan once, by either worker, in order; the report says whose clocks they are."""
    source = (ROOT / "plugins/text.py").read_text().replace('"text"', '"mine"')
    (tmp_path / "mine.py").write_text(source)
    asked = ("./mine.py", "--scheduler", two.address, "--concurrency", "3", "--requests", "8")
    done = bench("run", *asked, *QUICKLY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    plan, rows = Plan.from_json(records.read_json(run / "plan.json")), trials_of(run)
    planned = [unit[0] for group in plan.groups() for unit in group.units()]
    assert sorted((row["trial_id"], row["nonce"]) for row in rows) == [(one.trial_id, one.nonce) for one in planned]
    assert {(row["status"], row["worker"]) for row in rows} == {("ok", "1"), ("ok", "2")}
    (note,) = (note for note in records.read_manifest(run)["notes"] if "Dask" in note)
    assert note.startswith("measured by 2 Dask workers: clocks not compared")
    blocks = sorted({row["block"] for row in rows})
    starts = [min(row["t_origin"] for row in rows if row["block"] == block) for block in blocks]
    assert starts == sorted(starts)
    assert starts[0] > 0


@pytest.mark.slow
def test_a_killed_worker_is_named_and_its_trials_are_failures(tmp_path: Path) -> None:
    """The other goes on and carries the later segments by itself; nobody starts the lost shard again."""
    with cluster(tmp_path, 2) as found:
        asked = ("text", "--scheduler", found.address, "--concurrency", "4", "--requests", "40")
        child = started("run", *asked, *QUICKLY, cwd=tmp_path)
        _wait(lambda: any(b'"trial_id":[12]' in path.read_bytes() for path in _journals(tmp_path)), tmp_path)
        os.kill(found.pids[0], signal.SIGKILL)
        _, err = child.communicate(timeout=2 * END_S)
    assert child.returncode == 0, err
    assert "was lost: " in err
    run = only_run(tmp_path)
    plan, rows = Plan.from_json(records.read_json(run / "plan.json")), trials_of(run)
    assert len(rows) == plan.size
    by_block = {segment.block: Counter[str]() for segment in plan.segments}
    for row in rows:
        by_block[row["block"]][row["status"]] += 1
    assert sum(bool(found["lost"]) for found in by_block.values()) == 1
    assert by_block[plan.segments[-1].block] == {"ok": plan.segments[-1].count}
    assert any("tcp://127.0.0.1" in note and "was lost" in note for note in records.read_manifest(run)["notes"])


def _journals(folder: Path) -> list[Path]:
    return list(folder.glob("reports/*/journal.jsonl"))


@pytest.mark.slow
def test_ctrl_c_reaches_the_workers(tmp_path: Path, two: Cluster) -> None:
    """What was measured is reported, and the workers are free again."""
    asked = ("text", "--scheduler", two.address, "--concurrency", "4", "--requests", "400")
    child = started("run", *asked, *QUICKLY, cwd=tmp_path)
    _wait(lambda: any(b'"trial_id":[12]' in path.read_bytes() for path in _journals(tmp_path)), tmp_path)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=END_S)
    assert child.returncode == 130, err
    assert {"ok", "cancelled"} <= {row["status"] for row in trials_of(only_run(tmp_path))}

    async def busy() -> int:
        async with connect(two.address) as client:
            return sum(map(len, (await client.processing()).values()))

    _wait(lambda: asyncio.run(busy()) == 0, two.folder)


@pytest.mark.slow
def test_a_shard_does_not_start_twice(two: Cluster) -> None:
    """Whoever comes second is refused before it sends anything: by the scheduler's one token."""

    async def twice() -> None:
        from distributed import Queue

        async with connect(two.address) as client:
            token = await Queue(Names("once").token(0), client=client)
            await token.put(1)
            first = client.submit(_claimed, "once", 0, key="first")
            assert await first == "claimed"
            with pytest.raises(StartedTwice, match="shard 1 of run once was started before"):
                await client.submit(relay, "once", 0, key="second")

    asyncio.run(twice())


def _claimed(run: str, index: int) -> str:
    from distributed import get_client

    claim(get_client(), Names(run), index)
    return "claimed"


@pytest.mark.slow
def test_a_worker_without_the_key_says_so(tmp_path: Path, two: Cluster) -> None:
    """The key stays where it is: a worker whose environment lacks it is named, before the first trial."""
    with running() as simulator:
        asked = ("--base-url", simulator.base_url, "--model", "sim-1", "--api-key-env", "ONLY_HERE", "--yes")
        options = ("text", "--scheduler", two.address, "--concurrency", "2", *asked, *QUICKLY)
        done = invoke("run", *options, cwd=tmp_path, env={"ONLY_HERE": "sk-secret"})
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(("bench: worker 1: ONLY_HERE is not set", "bench: worker 2: ONLY_HERE is not set"))


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_line(tmp_path: Path) -> None:
    """So is one that nobody listens for, within seconds, and nothing is left behind."""
    with cluster(tmp_path, 0) as found, pytest.raises(BenchError, match="it has no worker; start some"):
        with_cluster_size(Settings(scheduler=found.address))
    began = time.monotonic()
    options = ("text", "--scheduler", "tcp://127.0.0.1:1", "--concurrency", "2", *QUICKLY)
    done = invoke("run", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("bench: --scheduler tcp://127.0.0.1:1: cannot be reached (")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - began < 40
    assert not (tmp_path / "reports").exists()


def version(python: str = "3.11.4", distributed: str = "2026.1", streambench: str | None = "0.1") -> dict[str, Any]:
    packages = {"distributed": distributed, **({"bench": streambench} if streambench else {})}
    return {"host": {"python": f"{python}.final.0"}, "packages": packages}


@pytest.mark.parametrize(
    ("scheduler", "worker", "said"),
    [
        (version(distributed="2025.9"), version(), "the scheduler has distributed 2025.9 and this is 2026.1"),
        (version(), version(python="3.12.1"), "tcp://b:1 has python 3.12 and this is 3.11"),
        (version(), version(streambench="0.2"), "tcp://b:1 has streambench 0.2 and this is 0.1"),
        (version(), version(streambench=None), "tcp://b:1 has streambench (none) and this is 0.1"),
    ],
)
def test_other_versions_are_one_line(scheduler: dict[str, Any], worker: dict[str, Any], said: str) -> None:
    """What would measure otherwise, or not be understood, is named with both versions."""
    versions = {"client": version(), "scheduler": scheduler, "workers": {"tcp://a:1": version(), "tcp://b:1": worker}}
    with pytest.raises(BenchError) as found:
        check_versions("tcp://s:8786", versions)
    assert str(found.value) == f"--scheduler tcp://s:8786: {said}; install the same version on all"


def test_a_scheduler_need_not_have_streambench() -> None:
    """It passes on only; the patch version of Python is of no account."""
    there = {"tcp://a:1": version(python="3.11.9")}
    check_versions("tcp://s", {"client": version(), "scheduler": version(streambench=None), "workers": there})


def endpoint(target: Target) -> dict[str, CheckedTarget]:
    checked = PreflightResult(models=["m"], temperature=None, length=True, notices=[], server=None)
    return {target.name: CheckedTarget(target=target, key="k", headers={}, checked=checked)}


def test_what_workers_elsewhere_cannot_have() -> None:
    """The simulator is reached from this machine only, and a secret that was typed does not go through a cluster."""
    simulator = endpoint(Target(name=SIM, base_url="http://127.0.0.1:5/v1"))
    check_reach(simulator, ["tcp://127.0.0.1:4000"])
    with pytest.raises(BenchError, match=r"listens on this machine only and worker tcp://192\.0\.2\.7:4000"):
        check_reach(simulator, ["tcp://127.0.0.1:4000", "tcp://192.0.2.7:4000"])
    with pytest.raises(BenchError, match="the value of header Authorization would go through the cluster"):
        check_reach(endpoint(Target(name="t", base_url="http://h/v1", headers={"Authorization": "Bearer x"})), [])


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BenchError, match=r"pip install 'streambench\[distributed\]'"):
        with_cluster_size(Settings(scheduler="tcp://h:8786"))
