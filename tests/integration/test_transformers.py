"""Every scenario against a real model: `transformers serve`, with a tiny model whose answers are known in advance."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support import transformers_server
from tests.support.cli import bench, only_run
from tests.support.tiny_model import ARGUMENTS, OTHER_ARGUMENTS, answer

pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.timeout(300)]

TOKENS = 24
TEXT = answer(TOKENS).strip()
"""Blocking answers come without the space in front."""
LONG = answer(1000).strip()
FAILS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("structured_output", "streamed"): ("invalid_result", "JSONDecodeError"),
    ("structured_output", "blocking"): ("invalid_result", "JSONDecodeError"),
    ("structured_helper", "streamed"): ("invalid_result", "Invalid JSON"),
    ("structured_helper", "blocking"): ("malformed", "asked for one JSON body, got text/event-stream"),
    ("chat_structured_output", "streamed"): ("invalid_result", "ValidationError"),
    ("chat_structured_output", "blocking"): ("invalid_result", "JSONDecodeError"),
    ("recovery_resume", "streamed"): ("invalid_result", "the server passed over background"),
}
"""What this server cannot do, by scenario and delivery, and how that is said. It answers with text whatever the schema,
and streams where `stream` is left out, as the SDK's `parse()` leaves it."""
UNSUPPORTED = {
    "multi_turn_stored": "the server passed over previous_response_id",
    "cancel_background": "the server passed over background",
    "text_ws": "no WebSocket there: HTTP 405: Method Not Allowed",
}
"""The same where no warm-up trial could do it."""
KNOWN: Mapping[str, str] = {
    "function_call": ARGUMENTS,
    "chat_function_call": ARGUMENTS,
    "parallel_calls": json.dumps([["get_weather", ARGUMENTS], ["get_weather", OTHER_ARGUMENTS]]),
    "usage": f'"output": {TOKENS}',
    "long_output": LONG,
    "cancel": TEXT[:60],
}
"""What stands in the result of an ok trial; for all others the whole text."""
CUT_SHORT = {"cancel", "early_break_bare"}
"""Here some of what was generated is not read, and so not counted."""


@dataclass(frozen=True)
class Run:
    """A finished `bench run`."""

    folder: Path
    stderr: str

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of its records."""
        rows: list[dict[str, Any]] = pq.read_table(self.folder / f"{table}.parquet").to_pylist()
        return rows

    def ok(self) -> list[dict[str, Any]]:
        """The successes, warm-up included."""
        return [row for row in self.rows("trials") if row["status"] == "ok"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its base URL, and the folder of the model, which is the model's name."""
    home = tmp_path_factory.mktemp("transformers")
    model = transformers_server.build(home / "model")
    with transformers_server.serving(model, home / "log") as base_url:
        yield base_url, model


def run(server: tuple[str, Path], cwd: Path, *arguments: str) -> Run:
    """The command as a user types it; it ends well."""
    base_url, model = server
    target = ("--base-url", base_url, "--model", str(model))
    options = ("--pairs", "2", "--warmup", "1", "--output-tokens", str(TOKENS), "--no-memory", "--store-text", "--yes")
    done = bench("run", *arguments, *target, *options, "--seed", "1", cwd=cwd, timeout=240)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    return Run(only_run(cwd), done.stderr)


@pytest.fixture(scope="module")
def everything(server: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`bench run all`: both APIs."""
    return run(server, tmp_path_factory.mktemp("all"), "all")


def test_nothing_is_left_out_unsaid(everything: Run) -> None:
    """Each scenario has all its trials, or a line that says why not; what fails has its class and the reason."""
    said = {line.split()[1]: line for line in everything.stderr.splitlines() if line.startswith("unsupported: ")}
    assert said.keys() == UNSUPPORTED.keys()
    for scenario, reason in UNSUPPORTED.items():
        assert f"({reason}" in said[scenario]
        assert scenario in (everything.folder / "report.md").read_text("utf-8")
    measured = [row for row in everything.rows("trials") if row["phase"] == "measure"]
    cells = json.loads((everything.folder / "plan.json").read_text())["cells"]
    expected = {(c["scenario"], d): 2 for c in cells if c["scenario"] not in UNSUPPORTED for d in c["deliveries"]}
    counted: dict[tuple[str, str], int] = {}
    for row in measured:
        key = (row["scenario"], row["delivery"])
        counted[key] = counted.get(key, 0) + 1
        status, words = FAILS.get(key, ("ok", ""))
        assert row["status"] == status, (key, row["error"])
        assert words in (row["error"] or "")
    assert counted == expected
    assert FAILS.keys() <= counted.keys()


def test_every_success_is_the_known_answer(everything: Run) -> None:
    """No trial counts as ok with anything but what the model is built to say."""
    ok = everything.ok()
    assert len({row["scenario"] for row in ok}) > 20
    for row in ok:
        assert KNOWN.get(row["scenario"], TEXT) in row["text"], row
    turns = [json.loads(row["text"]) for row in ok if row["scenario"] == "multi_turn"]
    assert all([turn.strip() for turn in answers] == [TEXT] * 3 for answers in turns)
    loops = [json.loads(row["text"]) for row in ok if row["scenario"] == "agent_loop"]
    assert all(loop["text"].strip() == TEXT and len(loop["calls"]) == 1 for loop in loops)


def test_every_success_came_to_its_end(everything: Run) -> None:
    """Each answer that was read to its end has a terminal event or status, and each trial first and last stamps."""
    attempts: dict[int, list[dict[str, Any]]] = {}
    for attempt in everything.rows("attempts"):
        attempts.setdefault(attempt["trial_id"], []).append(attempt)
    for row in everything.ok():
        read = [one for one in attempts[row["trial_id"]] if not one["closed_early"]]
        assert all(one["terminal"] in {"completed", "incomplete:max_output_tokens"} for one in read), row
        assert read or row["scenario"] in CUT_SHORT
        if row["delivery"] == "streamed":
            assert row["t_origin"] < row["t_first_token"] <= row["t_last_token"] <= row["t_end"]


def test_lengths_are_those_asked_for(everything: Run) -> None:
    """Output tokens are the server's count, as many as asked in each request; deltas are fewer, and never called so."""
    plain = {"text", "text_helper", "text_sync", "event_filter", "chat_text", "multi_turn"}
    rows = [row for row in everything.ok() if row["scenario"] in plain]
    assert {row["scenario"] for row in rows} == plain
    for row in rows:
        assert row["output_tokens"] == TOKENS * row["requests"]
        if row["delivery"] == "streamed":
            assert row["deltas"] == (TOKENS - 4) * row["requests"]  # the emoji is a space and four tokens of a byte
    assert {row["output_tokens"] for row in everything.ok() if row["scenario"] == "long_output"} == {1000}
    capped = {row["scenario"] for row in everything.ok() if row["truncated"]}
    assert capped == {"chat_text"}  # its Responses API says `completed` at the cap


def test_its_chat_api_has_a_core_set(server: tuple[str, Path], tmp_path: Path) -> None:
    """`--api chat` runs the three of it: two are as known, the schema is passed over and so the third fails."""
    done = run(server, tmp_path, "--api", "chat")
    assert {row["scenario"] for row in done.rows("trials")} == {
        "chat_text",
        "chat_function_call",
        "chat_structured_output",
    }
    assert {row["scenario"] for row in done.ok()} == {"chat_text", "chat_function_call"}
    with (done.folder / "summary.csv").open(newline="") as file:
        failures = [row for row in csv.DictReader(file) if row["metric"] == "failures" and row["statistic"] == "sum"]
    assert failures
    for row in failures:
        assert float(row["estimate"]) == (2 if row["scenario"] == "chat_structured_output" else 0)


def test_preflight_gets_through(everything: Run) -> None:
    """It fails on the list of models, and closes the connection with that: one notice, and the rest is checked."""
    notices = [line for line in everything.stderr.splitlines() if line.startswith("target ")]
    assert len(notices) == 1
    assert notices[0].endswith("no list of models (500 Internal Server Error)")
