"""`--precision` and `--budget` on the command line: what ends a run, and that its budget is never exceeded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli.commands.run_steps import run as run_it
from bench.cli.config_file import load_config
from bench.core.errors import BenchError
from bench.plan.choice import choose
from bench.plan.cost.budget import parse_budget
from bench.plan.settings import Settings
from bench.records import journal as records
from bench.reports.output import Output
from tests.support.cli import bench, invoke, only_run
from tests.support.scripted import Answer, json_response, scripted

pytestmark = [pytest.mark.slow, pytest.mark.paced]

FAST = '''"""Ten tokens of text within milliseconds.

Useful: the first piece of text.
"""

import json
from openai import AsyncOpenAI
from bench import Ask, Scenario, hookimpl

QUICK = {"ttft_ms": 3, "token_ms": 0.5, "tokens": 10, "jitter": 0}


def asked(ask: Ask):
    control = {**json.loads(ask.request["metadata"]["bench"]), **QUICK}
    return {**ask.request, "metadata": {"bench": json.dumps(control)}}


async def streamed(client: AsyncOpenAI, ask: Ask):
    async with await client.responses.create(**asked(ask), stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def blocking(client: AsyncOpenAI, ask: Ask):
    return (await client.responses.create(**asked(ask), stream=False)).output_text


@hookimpl
def register_scenarios():
    yield Scenario("fast", streamed, blocking, output_tokens=lambda params: 10)
'''


OPTIONS = ("--no-memory", "--warmup", "1", "--seed", "3")


def run(folder: Path, *options: str) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """(stderr, the manifest, its trials) of a run of that scenario."""
    (folder / "fast.py").write_text(FAST)
    done = bench("run", "./fast.py", *OPTIONS, *options, cwd=folder)
    run_folder = only_run(folder)
    assert (run_folder / "summary.csv").exists(), done.stderr
    trials: list[dict[str, Any]] = records.read(run_folder)["trials"].to_pylist()
    return done.stderr, records.read_manifest(run_folder), trials


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_run_ends_when_it_is_precise_enough(tmp_path: Path, concurrency: int) -> None:
    """At 90 % any noise is narrow enough at the first look: 30 pairs of 400, and a begun segment is finished."""
    said, manifest, trials = run(tmp_path, "--precision", "90%", "--no-self-check", "--concurrency", f"{concurrency}")
    measured = [trial for trial in trials if trial["phase"] == "measure"]
    segment = 1 if concurrency == 1 else 13  # 400 pairs in 33 rounds
    assert 30 <= len({trial["pair"] for trial in measured}) < 30 + segment
    assert len(measured) == 2 * len({trial["pair"] for trial in measured})
    assert manifest["ended"] == "finished"
    assert manifest["stopping"]["reason"] == "precision"
    assert "ended: precision of 90 % met in 1 of 1 cells (3" in said
    assert "at most 80" in said.splitlines()[0]
    used = [trial for trial in trials if trial["scenario"] == "fast"]
    spent = manifest["stopping"]["spent"]
    assert spent["output_tokens"] == sum(trial["output_tokens"] for trial in used) == 10 * spent["trials"]


@pytest.mark.parametrize(("concurrency", "pairs", "limit"), [(1, 9, 300), (4, 40, 1200)])
def test_tokens_are_never_exceeded(tmp_path: Path, concurrency: int, pairs: int, limit: int) -> None:
    """The run ends before the pair that could exceed them, and that is no failure and no partial run."""
    said, manifest, trials = run(
        tmp_path,
        "--budget",
        f"{limit}-tokens",
        "--max-retries",
        "0",
        "--concurrency",
        f"{concurrency}",
        "--pairs",
        f"{pairs}",
    )
    used = [trial for trial in trials if trial["scenario"] == "fast"]
    total = sum(trial["input_tokens"] + trial["output_tokens"] for trial in used)
    assert limit - concurrency * 2 * 62 < total <= limit
    assert all(trial["status"] == "ok" for trial in trials)
    spent = manifest["stopping"]["spent"]
    assert spent["input_tokens"] + spent["output_tokens"] == total
    assert (manifest["ended"], manifest["stopping"]["reason"]) == ("finished", "budget")
    assert f"ended: budget of {limit} tokens ({total:,} spent)" in said
    assert "PARTIAL" not in (only_run(tmp_path) / "report.md").read_text()


def test_time_ends_a_run(tmp_path: Path) -> None:
    """After so many seconds no pair is begun any more, whatever was planned."""
    said, manifest, trials = run(tmp_path, "--budget", "1s", "--pairs", "300", "--no-self-check")
    assert manifest["stopping"]["reason"] == "budget"
    assert "ended: budget of 1s" in said
    assert 2 < len(trials) < 600
    assert manifest["stopping"]["spent"]["seconds"] < 10


def failing(*options: str, cwd: Path) -> str:
    """The one line of a command that ends with exit 2."""
    done = invoke("run", "text", *options, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert not (cwd / "reports").exists()
    return done.stderr


def test_mistakes_are_found_before_anything_is_sent(tmp_path: Path) -> None:
    """A budget that not one pair fits in, or in money without a price, and a precision that is never looked at."""
    assert "one pair of text may take" in failing("--budget", "20-tokens", cwd=tmp_path)
    at_once = failing("--budget", "3k-tokens", "--concurrency", "8", cwd=tmp_path)
    assert "8 at a time of text may take" in at_once
    assert "a smaller --concurrency" in at_once
    budgets = [parse_budget("2usd")]
    far = Settings(arguments=["text"], base_url="http://llm.invalid/v1", models=["m"], budgets=budgets)
    with pytest.raises(BenchError, match=r"target .* has no price; use one of bench\.toml that says price = {"):
        choose(far)
    with pytest.raises(BenchError, match="--precision is looked at from 30 pairs on and --pairs is 10"):
        choose(Settings(precision=0.05, pairs=10))
    file = tmp_path / "bench.toml"
    file.write_text('[run]\nbudget = ["1h", "10 apples"]\n')
    with pytest.raises(BenchError, match=r"bench\.toml: \[run\]: budget: '10 apples' is no budget; write 10m"):
        load_config(tmp_path, file, {})


def test_no_budget_in_tokens_without_a_cap(tmp_path: Path) -> None:
    """Where a server refuses a limit on its answers, nobody can say what a request costs."""
    models = json_response({"object": "list", "data": [{"id": "m", "object": "model"}]})
    refused = json_response({"error": {"message": "unknown parameter max_output_tokens"}}, status=400)
    answer = json_response({"object": "response", "model": "m", "output": []})
    routes: dict[str, Answer] = {
        "/v1/models": models,
        "/v1/responses": lambda request: refused if "max_output_tokens" in request.json else answer,
    }
    with scripted(routes=routes) as server:
        said = failing("--base-url", server.base_url, "--model", "m", "--budget", "9k-tokens", cwd=tmp_path)
        assert "takes no cap on the length of its answers" in said
        assert len([request for request in server.requests if request.path == "/v1/responses"]) <= 2


def test_the_dry_run_says_the_most(tmp_path: Path) -> None:
    """What would end it earlier stands beside what it would take at most; the file's defaults count."""
    (tmp_path / "bench.toml").write_text('[run]\nprecision = 0.05\nbudget = "10m"\n')
    said = invoke("run", "text", "--budget", "2usd", "--dry-run", cwd=tmp_path).stdout
    assert "1 cell × at most 400 pairs" in said
    assert "ends earlier at a precision of 5 %, within a budget of 2 USD" in said


def test_a_budget_is_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A budget in tokens or money is an answer to the question before a paid run; time alone is none."""

    def no(_: str) -> bool:
        raise BenchError("nobody can be asked")

    far = Settings(arguments=["text"], base_url="http://llm.invalid/v1", models=["m"], out=tmp_path / "reports")
    with pytest.raises(BenchError, match="nobody can be asked"):
        run_it(replace(far, budgets=[parse_budget("10m")]), Output(), [], confirm=no)
    with pytest.raises(BenchError, match=r"llm\.invalid"):  # preflight: the question was not asked
        run_it(replace(far, budgets=[parse_budget("500k-tokens")]), Output(), [], confirm=no)
    assert "requests" in capsys.readouterr().err
