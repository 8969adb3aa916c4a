"""The scenarios for faults, recovery and cancelling: each on the simulator with its scripted faults, by the runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import create_model

from bench import Scenario
from bench.core.plugins.loader import builtin_folder, load_file
from bench.core.scenario import Prompt
from bench.simulator.process import running
from bench.simulator.truth import read_truth
from tests.support import events as e
from tests.support.harness import Measured, Row, measure
from tests.support.scripted import CLOSE, json_response, scripted, sse

pytestmark = pytest.mark.slow

FILES = ("error_handling", "recovery", "cancel")
WAYS = ("recovery_naive", "recovery_restart", "recovery_resume")
TOKENS = 40
Run = Callable[[str], Measured]


@cache
def plugins() -> dict[str, tuple[Scenario, ModuleType]]:
    """The scenarios of these files by name, each with the plugin it comes from."""
    modules = [load_file(builtin_folder() / f"{name}.py") for name in FILES]
    return {scenario.name: (scenario, module) for module in modules for scenario in module.register_scenarios()}


def on_server(folder: Path, base_url: str, scenario: Scenario, prompts: Sequence[Prompt], **more: Any) -> Measured:
    """One pair for each prompt, the plugin's own observer in place."""
    module = plugins()[scenario.name][1]
    return measure(
        folder,
        base_url,
        scenario,
        deliveries=more.pop("deliveries", ("streamed", "blocking") if scenario.blocking else ("streamed",)),
        pairs=len(prompts),
        prompts=prompts,
        observers=[module] if hasattr(module, "observe") else [],
        **more,
    )


def on_sim(folder: Path, base_url: str, scenario: Scenario, *, tokens: int = TOKENS, token_ms: float = 1) -> Measured:
    """On the simulator; error_handling with all of its prompts, the others with one."""
    prompts = scenario.prompts if scenario.name == "error_handling" else scenario.prompts[:1]
    control = {"profile": "flood", "ttft_ms": 20, "token_ms": token_ms, "tokens": tokens, "seed": 0}
    own_nonces = sum(scenario.name.encode())  # attempts are counted by them
    return on_server(folder, base_url, scenario, prompts, simulated=True, control=control, seed=own_nonces)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of a scenario on the simulator, the same for all tests that look at it."""
    with running(profile="flood") as simulator:

        @cache
        def once(name: str) -> Measured:
            tokens = 10 if name == "error_handling" else TOKENS
            return on_sim(tmp_path_factory.mktemp(name), simulator.base_url, plugins()[name][0], tokens=tokens)

        yield once


def recorded(measured: Measured, trial: Row) -> dict[str, float]:
    """What a trial recorded, by name."""
    return {row["name"]: row["value"] for row in measured["metrics"] if row["trial_id"] == trial["trial_id"]}


@pytest.mark.parametrize("name", ["error_handling", *WAYS])
def test_both_deliveries_get_over_the_fault(name: str, run: Run) -> None:
    """All trials are ok although an attempt of each failed, and the pairs have the same whole answer."""
    measured = run(name)
    assert {(row["status"], row["error"]) for row in measured["trials"]} == {("ok", None)}
    assert all(row["attempts"] == 2 for row in measured["trials"])
    for pair in {row["pair"] for row in measured["trials"]}:
        hashes = [row["result_sha256"] for row in measured["trials"] if row["pair"] == pair]
        assert len(hashes) == 2
        assert hashes[0] == hashes[1] is not None
    assert measured.tally.orphans == 0


KINDS = {  # of the fault: what is seen of it streamed, and blocking
    "status": ("status", "status"),
    "cut": ("connection", None),  # the SDK tries it again unseen
    "malformed": ("malformed", "malformed"),
    "error": ("error_event", "failed"),
    "error_nested": ("error_raised", "failed"),
    "failed": ("failed", "failed"),
    "incomplete": ("incomplete", "incomplete"),
    "silent_end": ("silent_end", "malformed"),
}


def test_every_fault_is_noticed_as_what_it_is(run: Run) -> None:
    """Each fault is recorded by its kind, with the time and what had been seen, and by nothing else."""
    measured, scenario = run("error_handling"), plugins()["error_handling"][0]
    faults = [prompt["sim"][0]["faults"][0]["kind"] for prompt in scenario.prompts]  # type: ignore[index]
    assert sorted(faults) == sorted(KINDS)
    for trial in measured["trials"]:
        kind = KINDS[faults[trial["ask"]]][trial["delivery"] == "blocking"]
        found = recorded(measured, trial)
        assert [name for name in found if name.startswith("detected.")] == ([f"detected.{kind}"] if kind else [])
        assert bool(kind) == ("detection" in found) == ("fallback" in found)
        if kind:
            before = kind == "status" or trial["delivery"] == "blocking"
            assert (found["seen_chars"] == 0) == before
            assert found["detection"] > (0 if kind == "status" else 18)  # ms; nothing is sent for 20 ms
            total = (trial["t_end"] - trial["t_origin"]) / 1e6
            assert found["detection"] + found["fallback"] < total


@pytest.mark.parametrize("name", WAYS)
def test_a_recovery_is_counted(name: str, run: Run) -> None:
    """Two attempts, a pause between them, and a time to recover that is no shorter, in the same names for all."""
    measured = run(name)
    for trial in measured["trials"]:
        found = recorded(measured, trial)
        assert found["recovery.attempts"] == 2
        assert found["recovery.backoff"] >= 100  # ms; ours is at least 125, the SDK's 375
    found = recorded(measured, measured.trial())
    assert found["recovery.time"] >= found["recovery.backoff"] - 1
    assert "recovery.wasted_tokens" not in found  # a cut stream tells no usage


def test_the_three_ways_waste_and_repeat_what_they_say(run: Run) -> None:
    """Starting again wastes half an answer, shown twice by the naive way only; resuming wastes nothing."""
    trials = {name: run(name).trial() for name in WAYS}
    naive, restart, resume = (recorded(run(name), trials[name]) for name in WAYS)
    assert len({trial["result_sha256"] for trial in trials.values()}) == 1
    chars = trials["recovery_naive"]["result_chars"]
    shown = {name: sum(row["chars"] for row in run(name)["pieces"]) for name in WAYS}
    assert 0.3 < naive["recovery.wasted_chars"] / chars < 0.7
    assert naive["recovery.wasted_chars"] == naive["recovery.duplicated_chars"] == shown["recovery_naive"] - chars
    assert restart["recovery.wasted_chars"] == naive["recovery.wasted_chars"]
    assert naive["recovery.wasted_deltas"] == restart["recovery.wasted_deltas"] == TOKENS / 2
    assert min(naive["recovery.wasted_bytes"], restart["recovery.wasted_bytes"]) > 1000
    assert shown["recovery_restart"] == shown["recovery_resume"] == chars
    assert {found["recovery.replaced_chars"] for found in (naive, restart, resume)} == {0}
    nothing = ("wasted_chars", "wasted_deltas", "wasted_bytes", "duplicated_chars")
    assert [resume[f"recovery.{name}"] for name in nothing] == [0, 0, 0, 0]
    assert restart["recovery.duplicated_chars"] == 0


def test_resuming_asks_only_for_the_rest(run: Run) -> None:
    """The second request is a GET whose stream has no event a second time."""
    measured = run("recovery_resume")
    trial = measured.trial()
    first, second = [row for row in measured["attempts"] if row["trial_id"] == trial["trial_id"]]
    assert (first["method"], second["method"]) == ("POST", "GET")
    numbers = [row["sequence_number"] for row in measured["events"] if row["trial_id"] == trial["trial_id"]]
    assert numbers == list(range(len(numbers)))


def text(*parts: str) -> list[e.Event]:
    """The begin of a stream with these deltas, from a server that knows background responses."""
    created = {**e.CREATED, "response": e.response("in_progress", background=True)}
    return [created, *(e.delta(part, number) for number, part in enumerate(parts, 1))]


def test_a_text_that_differs_takes_the_place_of_what_was_shown(tmp_path: Path) -> None:
    """A restart that brings another answer: the old text is replaced, and the result is the new one alone."""
    first, second = sse(*text("The ", "cat ")), sse(*text("The ", "dog", "."), e.COMPLETED)
    restart = plugins()["recovery_restart"][0]
    with scripted([*first, CLOSE], second) as server:
        measured = on_server(tmp_path, server.base_url, restart, ["Hello"], deliveries=("streamed",))
    trial = measured.trial()
    found = recorded(measured, trial)
    assert (trial["status"], trial["text"], trial["pieces"]) == ("ok", "The dog.", 4)
    assert found["recovery.replaced_chars"] == len("The cat ")
    assert found["recovery.duplicated_chars"] == 0
    assert found["recovery.wasted_chars"] == len("The cat ")


@pytest.mark.parametrize("name", WAYS)
def test_a_failed_answer_starts_again_whatever_the_way(name: str, tmp_path: Path) -> None:
    """`response.failed` leaves nothing to resume; where it tells its usage, those output tokens were wasted."""
    failed = {**e.FAILED, "response": {**e.FAILED["response"], "usage": e.USAGE}}
    scenario = plugins()[name][0]
    with scripted(sse(*text("One "), failed), sse(*text("One ", "two"), e.COMPLETED)) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"], deliveries=("streamed",))
    trial = measured.trial()
    assert (trial["status"], trial["text"]) == ("ok", "One two")
    assert [request.method for request in server.requests] == ["POST", "POST"]
    found = recorded(measured, trial)
    assert found["recovery.wasted_tokens"] == e.USAGE["output_tokens"]
    assert (found["recovery.wasted_deltas"], found["recovery.wasted_chars"]) == (1, len("One "))
    assert found["recovery.duplicated_chars"] == (len("One ") if name == "recovery_naive" else 0)


def test_without_sequence_numbers_there_is_nothing_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed from nowhere the text would come twice, so it starts again."""
    scenario, module = plugins()["recovery_resume"]
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    whole = [
        {k: v for k, v in event.items() if k != "sequence_number"} for event in (*text("One ", "two"), e.COMPLETED)
    ]
    with scripted([*sse(*whole[:2]), CLOSE], sse(*whole)) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"], deliveries=("streamed",))
    assert (measured.trial()["status"], measured.trial()["text"]) == ("ok", "One two")
    assert [request.method for request in server.requests] == ["POST", "POST"]


def test_tries_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that always breaks off is left after the last try, as what it did."""
    scenario, module = plugins()["recovery_naive"]
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    with scripted(sse(*text("One "))) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"], deliveries=("streamed",))
    trial = measured.trial()
    assert (trial["status"], trial["attempts"]) == ("no_terminal_event", module.TRIES)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Measured, Row]]:
    """Both ways to stop a long answer, with the simulator's line on each."""
    truth, found = tmp_path_factory.mktemp("truth") / "truth", {}
    with running(profile="flood", truth=truth) as simulator:
        for name in ("cancel", "cancel_background"):
            scenario, folder = plugins()[name][0], tmp_path_factory.mktemp(name)
            found[name] = on_sim(folder, simulator.base_url, scenario, tokens=400, token_ms=5)
    log = {line["client_id"]: line for line in read_truth(truth)}
    return {name: (measured, log[measured["attempts"][0]["client_id"]]) for name, measured in found.items()}


@pytest.mark.parametrize("name", ["cancel", "cancel_background"])
def test_a_stopped_answer_ends_on_the_server(name: str, stopped: dict[str, tuple[Measured, Row]]) -> None:
    """The trial is ok, the user has seen little more than asked, and the server made but a part of the answer."""
    measured, line = stopped[name]
    trial = measured.trial()
    found = recorded(measured, trial)
    assert (trial["status"], trial["error"]) == ("ok", None)
    assert found["stopped"] == 1
    assert 80 <= found["shown_chars"] < 160
    assert found["stop.time"] > 0
    assert found["mark.stop"] * 1e6 < trial["t_end"] - trial["t_origin"]
    assert len(line["t_sent"]) < 200  # of 400
    assert "billed_tokens" not in found  # the simulator does not tell
    assert line["t_cancelled" if name == "cancel_background" else "gone"] is not None
    assert trial["requests"] == (3 if name == "cancel_background" else 1)


def test_what_a_cancelled_response_still_costs_is_recorded(tmp_path: Path) -> None:
    """Where the cancelled response tells its usage, that is recorded; the stop lasts until the stream has ended."""
    said = "x" * 90
    routes = {
        "/v1/responses/resp_1/cancel": json_response(e.response("cancelled")),
        "/v1/responses/resp_1": json_response(e.response("cancelled", usage=e.USAGE)),
    }
    scenario = plugins()["cancel_background"][0]
    with scripted(sse(*text(said), 0.2, e.delta("late")), routes=routes) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"])
    trial = measured.trial()
    found = recorded(measured, trial)
    assert (trial["status"], trial["text"]) == ("ok", said)
    assert (found["stopped"], found["billed_tokens"], found["late_chars"]) == (1, e.USAGE["output_tokens"], 4)
    assert found["stop.time"] > 100  # ms


def test_a_stream_that_never_ends_has_no_time_of_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cancels the response but goes on with the stream: how long that took is not known, so not told."""
    scenario, module = plugins()["cancel_background"]
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    cancelled = json_response(e.response("cancelled"))
    routes = {"/v1/responses/resp_1/cancel": cancelled, "/v1/responses/resp_1": cancelled}
    with scripted(sse(*text("x" * 90), 2.0, e.delta("late")), routes=routes) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"])
    assert measured.trial()["status"] == "ok"
    assert recorded(measured, measured.trial()).keys() == {"mark.stop", "stopped", "shown_chars"}


def test_tokens_are_counted_once(tmp_path: Path) -> None:
    """The stream, which ends while the cancelling is on its way, and the cancelling tell the usage of one answer."""
    ended = json_response(e.response(usage=e.USAGE))
    routes = {"/v1/responses/resp_1/cancel": ended, "/v1/responses/resp_1": ended}
    scenario = plugins()["cancel_background"][0]
    with scripted(sse(*text("x" * 90), e.COMPLETED), routes=routes) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"])
    assert measured.trial()["requests"] == 2
    assert measured.trial()["output_tokens"] == e.USAGE["output_tokens"]


def test_an_answer_that_is_over_cannot_be_stopped(tmp_path: Path) -> None:
    """The answer ended while the cancelling was on its way: it was not stopped, and no time is told."""
    routes = {"/v1/responses/resp_1/cancel": json_response(e.response())}
    scenario = plugins()["cancel_background"][0]
    with scripted(sse(*text("x" * 90), e.COMPLETED), routes=routes) as server:
        measured = on_server(tmp_path, server.base_url, scenario, ["Hello"])
    found = recorded(measured, measured.trial())
    assert measured.trial()["status"] == "ok"
    assert found["stopped"] == 0
    assert "stop.time" not in found


@pytest.mark.parametrize("name", ["cancel", "cancel_background"])
def test_a_short_answer_ends_by_itself(name: str, tmp_path: Path) -> None:
    """There is nothing to stop, nor a time that stopping took."""
    with scripted(sse(*text("One ", "two"), e.COMPLETED)) as server:
        measured = on_server(tmp_path, server.base_url, plugins()[name][0], ["Hello"])
    found = recorded(measured, measured.trial())
    assert measured.trial()["status"] == "ok"
    assert found == {"shown_chars": len("One two"), "stopped": 0}


def test_the_user_stops_where_the_parameter_says(tmp_path: Path) -> None:
    """`-P cancel.chars` moves the stop."""
    scenario = plugins()["cancel"][0]
    fields: dict[str, Any] = {"chars": (int, 3)}
    sooner = replace(scenario, params=create_model("Sooner", __base__=scenario.params, **fields))
    with scripted(sse(*text("One ", "two"), e.COMPLETED)) as server:
        measured = on_server(tmp_path, server.base_url, sooner, ["Hello"])
    assert measured.trial()["text"] == "One "
    assert recorded(measured, measured.trial())["stopped"] == 1
