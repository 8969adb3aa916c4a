"""The process that sends and reads keeps the pace it was given, loses nothing, stays small, and is never left over."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from bench.clients.load_generator.process import Pace, Server, Shooter, ShooterLost, Shot
from bench.core.trial import Attempt, Interruption
from tests.support.scripted import LAST_CHUNK, Script, chunk, head, response, scripted

pytestmark = [pytest.mark.slow, pytest.mark.alone]

REQUEST = b"POST /v1/responses HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}"
MS = 1_000_000
HEAD = head(200, {"transfer-encoding": "chunked"})


class Range:
    """A shooter, a server, and shots between them."""

    def __init__(self, shooter: Shooter, port: int) -> None:
        self.shooter, self.server = shooter, Server("127.0.0.1", port, tls=False)
        self.fired: list[int] = []
        self.begun = asyncio.Event()

    def note(self, t_origin: int) -> None:
        """One more has been begun."""
        self.fired.append(t_origin)
        self.begun.set()

    def fire(
        self,
        *,
        due: int | None = None,
        deadline_s: float = 10,
        cold: bool = False,
        on_read: Callable[[], None] | None = None,
    ) -> Shot:
        """One request."""
        attempt = Attempt(0, 0, "id", "POST", "/v1/responses", 0, asked_stream=True, t_start=0)
        return self.shooter.fire(
            self.server,
            REQUEST,
            attempt,
            due=due,
            deadline_s=deadline_s,
            cold=cold,
            on_fired=self.note,
            on_read=on_read,
        )


Shoot = Callable[..., Any]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of all tests here."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def shooter(runner: asyncio.Runner) -> Iterator[Shooter]:
    """One shooter for all tests that let it live."""
    shooter = runner.run(Shooter.start())
    yield shooter
    runner.run(shooter.aclose())


@pytest.fixture
def shoot(runner: asyncio.Runner, shooter: Shooter) -> Shoot:
    """Does work with the shooter and a server of these scripts."""

    def do(work: Callable[[Range], Awaitable[Any]], *scripts: Script) -> Any:
        with scripted(*scripts) as server:
            return runner.run(asyncio.wait_for(work(Range(shooter, server.port)), 20))

    return do


def text(shot: Shot) -> bytes:
    """All that was read."""
    return b"".join(data for _, data in shot.attempt.reads)


def most_at_once(shots: list[Shot]) -> int:
    """How many were in flight together."""
    starts = [(shot.attempt.t_start, 1) for shot in shots]
    ends = [(shot.attempt.t_end or 0, -1) for shot in shots]
    level = peak = 0
    for _, step in sorted(starts + ends):
        level += step
        peak = max(peak, level)
    return peak


def test_closed_loop(shoot: Shoot) -> None:
    """So many at a time; a slot takes the next when its last one ended; connections are kept; costs are told.

    Ctrl-C in the terminal is none of its business.
    """
    answer = [HEAD + chunk(b"a"), 0.05, chunk(b"b"), 0.01, LAST_CHUNK]

    async def work(range_: Range) -> tuple[list[Shot], Any]:
        os.kill(range_.shooter.pid, signal.SIGINT)
        await range_.shooter.begin(Pace(slots=3), cell=4)
        shots = [range_.fire() for _ in range(9)]
        for shot in shots:
            await shot.wait()
        assert range_.fired == [shot.t_origin for shot in shots]
        return shots, await range_.shooter.end()

    shots, spent = shoot(work, answer)
    assert {text(shot) for shot in shots} == {HEAD + chunk(b"a") + chunk(b"b") + LAST_CHUNK}
    assert (most_at_once(shots), len({shot.attempt.connection for shot in shots})) == (3, 3)
    assert all(shot.t_origin <= shot.attempt.t_start for shot in shots)
    starts, ends = [s.t_origin for s in shots[3:]], [s.attempt.t_end for s in shots[:6]]
    assert all(0 < start - (end or 0) < 50 * MS for start, end in zip(starts, sorted(ends), strict=True))
    assert spent.reads == sum(len(shot.attempt.reads) for shot in shots)
    assert 0 < spent.cpu_ns < spent.wall_ns
    assert {(row["cell"], row["name"]) for row in spent.probes} >= {(4, "loop_lag")}


def test_ramp(shoot: Shoot) -> None:
    """Slot i begins after i/slots of the ramp, though all requests were handed in at once."""

    async def work(range_: Range) -> list[float]:
        await range_.shooter.begin(Pace(slots=4, ramp_ns=120 * MS), cell=0)
        shots = [range_.fire() for _ in range(4)]
        await range_.shooter.end()
        return [(shot.t_origin - range_.shooter.t_group) / MS for shot in shots]

    begun = shoot(work, [HEAD, 0.2, LAST_CHUNK])
    assert all(due <= after < due + 28 for due, after in zip((0, 30, 60, 90), begun, strict=True))


def test_open_loop(shoot: Shoot) -> None:
    """Requests are begun when due, whatever earlier ones do; the origin is the due time, also of one handed in late."""

    async def work(range_: Range) -> tuple[list[Shot], Shot]:
        await range_.shooter.begin(Pace(cap=10), cell=0)
        shots = [range_.fire(due=due * MS) for due in (30, 0, 60)]
        await asyncio.sleep(0.15)
        late = range_.fire(due=10 * MS)
        await range_.shooter.end()
        for shot in (*shots, late):
            await shot.wait()
        origins = [(shot.t_origin - range_.shooter.t_group) / MS for shot in (*shots, late)]
        assert origins == [30, 0, 60, 10]
        return shots, late

    shots, late = shoot(work, [HEAD, 0.3, LAST_CHUNK])
    assert all(0 <= (shot.attempt.t_sent or 0) - shot.t_origin < 40 * MS for shot in shots)
    assert most_at_once(shots) == 3
    assert (late.attempt.t_sent or 0) - late.t_origin > 80 * MS


def test_shed(shoot: Shoot) -> None:
    """A request that is due while the cap is in flight is not sent, and says so."""

    async def work(range_: Range) -> list[Shot]:
        await range_.shooter.begin(Pace(cap=2), cell=0)
        shots = [range_.fire(due=due * MS) for due in (0, 5, 10)]
        await asyncio.gather(*(shot.wait() for shot in shots))
        await range_.shooter.end()
        assert shots[2].t_origin - range_.shooter.t_group == 10 * MS
        assert len(range_.fired) == 3
        return shots

    shots = shoot(work, [HEAD, 0.2, LAST_CHUNK])
    assert [(shot.shed, shot.attempt.status) for shot in shots] == [(False, 200), (False, 200), (True, None)]


def test_cold_failed_and_late(shoot: Shoot) -> None:
    """What a shot brings back beside a whole answer: a connection of its own, a refusal, a deadline."""

    async def work(range_: Range) -> None:
        await range_.shooter.begin(Pace(slots=1), cell=0)
        first, cold = range_.fire(), range_.fire(cold=True)
        late = range_.fire(deadline_s=0.05)
        range_.server = Server("127.0.0.1", 1, tls=False)
        refused = range_.fire()
        await range_.shooter.end()
        for shot in (first, cold, late, refused):
            await shot.wait()
        assert [shot.attempt.status for shot in (first, cold, late, refused)] == [200, 429, None, None]
        assert cold.attempt.connection != first.attempt.connection
        assert cold.attempt.headers["content-length"] == "2"
        assert late.attempt.error == "ReadTimeout: not done after 0.05 s (--deadline)"
        assert str(refused.attempt.error).startswith("ConnectError: ")

    shoot(work, response(b"{}"), response(b"{}", 429), [1.0])


def test_small_and_whole(shoot: Shoot) -> None:
    """60 MB to a parent that is busy: every byte comes, in order, and the process does not grow by them."""
    body = b"".join(chunk(bytes([number % 251]) * 250_000) for number in range(80))

    async def work(range_: Range) -> list[Shot]:
        before = resident(range_.shooter.pid)
        await range_.shooter.begin(Pace(slots=3), cell=0)
        shots = [range_.fire() for _ in range(3)]
        for _ in range(10):
            await asyncio.sleep(0.01)
            time.sleep(0.05)  # noqa: ASYNC251  (busy)
        await range_.shooter.end()
        assert resident(range_.shooter.pid) - before < 15 << 20
        for shot in shots:
            await shot.wait()
        return shots

    shots = shoot(work, [HEAD + body + LAST_CHUNK])
    assert all(text(shot) == HEAD + body + LAST_CHUNK for shot in shots)
    assert all(stamps == sorted(stamps) for shot in shots if (stamps := [t for t, _ in shot.attempt.reads]))


def resident(pid: int) -> int:
    """The most memory that the process ever had, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def test_cancel(shoot: Shoot) -> None:
    """On Ctrl-C what is in flight ends, closed early; what was not begun is cancelled; the group can still be ended."""

    async def work(range_: Range) -> None:
        await range_.shooter.begin(Pace(slots=1), cell=0)
        running, waiting = range_.fire(), range_.fire()
        ending = asyncio.create_task(range_.shooter.end())
        await range_.begun.wait()
        await asyncio.sleep(0.1)
        ending.cancel()
        range_.shooter.cancel()
        with pytest.raises(Interruption):
            await running.wait()
        assert (running.attempt.closed_early, running.attempt.error) == (True, None)
        with pytest.raises(Interruption):
            await waiting.wait()
        assert not waiting.attempt.t_start
        with pytest.raises(Interruption):  # its request was still being made
            await range_.fire().wait()
        assert (await range_.shooter.end()).reads == 1

    shoot(work, [HEAD + chunk(b"a"), 5.0])


def test_what_is_held_is_whole_when_the_run_is_stopped(shoot: Shoot) -> None:
    """An answer that was complete before Ctrl-C is handed out as it is, and was held until then."""

    async def work(range_: Range) -> None:
        await range_.shooter.begin(Pace(slots=1), cell=0, hold=True)
        read = asyncio.Event()
        shot = range_.fire(on_read=read.set)
        waiting = asyncio.create_task(shot.wait())
        await read.wait()
        assert not (await asyncio.wait([waiting], timeout=0.05))[0]
        range_.shooter.cancel()
        await waiting
        assert b"".join(data for _, data in shot.attempt.reads).endswith(LAST_CHUNK)
        await range_.shooter.end()

    shoot(work, [HEAD, LAST_CHUNK])


def test_who_notes_the_start_fails(shoot: Shoot) -> None:
    """A start that cannot be journalled (a full disk) is an error of that request; others go on, none comes twice."""

    async def work(range_: Range) -> None:
        noted = range_.note

        def full(t_origin: int) -> None:
            noted(t_origin)
            raise OSError("no room")

        await range_.shooter.begin(Pace(slots=2), cell=0)
        range_.note = full  # type: ignore[method-assign]
        first = range_.fire()
        range_.note = noted  # type: ignore[method-assign]
        second = range_.fire()
        with pytest.raises(OSError, match="no room"):
            await first.wait()
        await second.wait()
        await range_.shooter.end()
        assert (text(second), len(range_.fired)) == (HEAD + LAST_CHUNK, 2)

    shoot(work, [HEAD, 0.02, LAST_CHUNK])


def test_groups_follow_each_other(shoot: Shoot) -> None:
    """A second group has its own pace, clock and costs, and the connections of the first."""

    async def work(range_: Range) -> None:
        seen = []
        for cell in (1, 2):
            await range_.shooter.begin(Pace(slots=1), cell)
            shot = range_.fire()
            await shot.wait()
            spent = await range_.shooter.end()
            seen.append((shot.attempt.reused, spent.reads > 0, {row["cell"] for row in spent.probes}))
        assert seen == [(False, True, {1}), (True, True, {2})]

    shoot(work, [HEAD, 0.04, LAST_CHUNK])


def test_killed(runner: asyncio.Runner) -> None:
    """Who waits for a shooter that was killed is told its number and the signal; what comes later too."""

    async def work(shooter: Shooter, port: int) -> None:
        range_ = Range(shooter, port)
        await range_.shooter.begin(Pace(slots=1), cell=0)
        shots = [range_.fire(), range_.fire()]
        await range_.begun.wait()
        os.kill(range_.shooter.pid, signal.SIGKILL)
        lost = f"the process {range_.shooter.pid} that sends and reads was killed by SIGKILL"
        for waiting in (shots[0].wait, shots[1].wait, range_.shooter.end):
            with pytest.raises(ShooterLost, match=lost):
                await waiting()
        with pytest.raises(ShooterLost, match=lost):
            await range_.fire().wait()
        with pytest.raises(ShooterLost, match=lost):
            await range_.shooter.begin(Pace(slots=1), cell=1)

    async def main(port: int) -> None:
        async with await Shooter.start() as shooter:
            await asyncio.wait_for(work(shooter, port), 20)

    with scripted([HEAD, 5.0]) as server:
        runner.run(main(server.port))


def test_no_room(runner: asyncio.Runner) -> None:
    """Where the backlog of a busy parent does not fit on the disk, the shooter ends and says why: no half answers."""

    async def work(shooter: Shooter, port: int) -> None:
        resource.prlimit(shooter.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        range_ = Range(shooter, port)
        await shooter.begin(Pace(slots=1), cell=0)
        shot = range_.fire()
        await range_.begun.wait()
        time.sleep(0.5)  # noqa: ASYNC251  (busy)
        with pytest.raises(ShooterLost, match=f"process {shooter.pid} .* status 1: .*File too large"):
            await shot.wait()

    async def main(port: int) -> None:
        async with await Shooter.start() as shooter:
            await asyncio.wait_for(work(shooter, port), 20)

    with scripted([HEAD, *[chunk(bytes(500_000))] * 120, LAST_CHUNK]) as server:
        runner.run(main(server.port))


PARENT = """
import asyncio
from bench.clients.load_generator.process import Pace, Shooter

async def main():
    shooter = await Shooter.start()
    await shooter.begin(Pace(slots=1), 0)
    print(shooter.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_parent_killed() -> None:
    """A shooter whose parent is gone ends too."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    end = perf_counter_ns() + 10_000 * MS
    while alive(pid) and perf_counter_ns() < end:
        time.sleep(0.02)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether the process runs."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_light() -> None:
    """It imports nothing that decodes, validates or computes, and stays below 45 MB."""
    program = (
        "import json, sys; import bench.clients.load_generator.shooter;"
        "status = open('/proc/self/status').read().split();"
        "print(json.dumps([list(sys.modules), int(status[status.index('VmRSS:') + 1])]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules, kilobytes = json.loads(done.stdout)
    heavy = {"openai", "pydantic", "numpy", "pandas", "pyarrow", "scipy", "httpx2", "httpcore2", "rich", "click"}
    assert heavy & set(modules) == set()
    assert kilobytes < 45_000
