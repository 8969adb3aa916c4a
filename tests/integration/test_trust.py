"""A run that may not be believed says so in its first line and in its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import bench, only_run

pytestmark = pytest.mark.alone

LATE = '''"""Text whose reader holds the event loop up."""
import time
from collections.abc import AsyncIterator, Iterable

from openai import AsyncOpenAI

from bench import Ask, Scenario, hookimpl


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                time.sleep(0.03)
                yield event.delta


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    yield Scenario("late", streamed)
'''


@pytest.mark.slow
def test_a_client_that_is_late_everywhere_ends_with_3(tmp_path: Path) -> None:
    """A scenario that blocks the event loop: INVALID, no time in the table, exit 3, and a report all the same."""
    (tmp_path / "late.py").write_text(LATE)
    options = ("--pairs", "10", "--no-self-check", "--no-memory", "--output-tokens", "20")
    done = bench("run", "./late.py", *options, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    lines = done.stdout.splitlines()
    trust = next(line for line in lines if line.startswith("TRUST"))
    assert trust.startswith("TRUST   INVALID: no number can be trusted: the client itself was late in every cell")
    row = next(line.split() for line in lines if line.startswith("late "))
    assert row == ["late", "–", "SATURATED", "–", "–", "–", "0", "of", "10"], "what is counted stays"
    assert "the run is INVALID: no number can be trusted" in done.stderr.splitlines()[-1]
    summary = json.loads((only_run(tmp_path) / "summary.json").read_text())
    assert summary["trust"]["verdict"] == "INVALID"
    assert {row["note"].split(":")[0] for row in summary["rows"] if row["scenario"] == "late"} == {"SATURATED"}
