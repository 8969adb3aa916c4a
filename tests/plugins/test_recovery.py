"""The logic inside of the scenarios for faults, recovery and tools: joining texts, pauses, kinds of faults, calls."""

from __future__ import annotations

import json
from itertools import pairwise
from types import ModuleType
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseErrorEvent
from openai.types.responses.response_completed_event import ResponseCompletedEvent
from openai.types.responses.response_failed_event import ResponseFailedEvent
from openai.types.responses.response_incomplete_event import ResponseIncompleteEvent

from bench.core.plugins.loader import builtin_folder, load_file
from tests.support import events as e

NAMES = ("recovery", "error_handling", "parallel_calls", "agent_loop", "refusal")
recovery, error_handling, parallel_calls, agent_loop, refusal = (
    load_file(builtin_folder() / f"{name}.py") for name in NAMES
)
texts = st.lists(st.text("ab", max_size=3), max_size=12)


def screen(kind: str, shown: str, parts: list[str]) -> list[str]:
    """All pieces: what was shown before, and what a further try with these deltas shows."""
    join = getattr(recovery, kind)(shown)
    pieces = [shown, *map(join.feed, parts)]
    rest = join.end()
    return [*(piece for piece in pieces if piece), *([] if rest is None else [rest])]


@given(st.text("ab", max_size=8), texts)
def test_the_result_is_the_text_of_the_last_try(shown: str, parts: list[str]) -> None:
    """Whatever was shown before, and wherever the new text differs, ends, or goes beyond it."""
    new = "".join(parts)
    assert recovery.assemble(screen("JoinScreen", shown, parts)) == new
    assert recovery.assemble(screen("RepeatScreen", shown, parts)) == new


@given(texts, st.integers(0, 40))
def test_a_text_that_repeats_itself_is_shown_once(parts: list[str], broke_after: int) -> None:
    """Joined, a new try that brings the same text shows only what is missing; repeated, all of it comes again."""
    new = "".join(parts)
    shown = new[:broke_after]
    assert "".join(screen("JoinScreen", shown, parts)) == new
    assert "".join(screen("RepeatScreen", shown, parts)) == shown + new


@given(st.text("ab", max_size=8), texts)
def test_a_resumed_text_goes_on(shown: str, parts: list[str]) -> None:
    """What comes behind the break is shown as it comes."""
    assert recovery.assemble(screen("AppendScreen", shown, parts)) == shown + "".join(parts)


@given(st.integers(0, 2**31))
def test_pauses_grow_and_end(seed: int) -> None:
    """Each pause is at most twice as long as a quarter of a second doubled, and there are as many as further tries."""
    found = list(recovery.pauses(seed))
    assert len(found) == recovery.TRIES - 1
    assert all(0.5 <= pause / (recovery.FIRST_PAUSE_S * 2**number) <= 1 for number, pause in enumerate(found))
    assert all(earlier <= later for earlier, later in pairwise(found))
    assert found == list(recovery.pauses(seed))


REQUEST = httpx2.Request("POST", "http://test/v1/responses")
ANSWER = httpx2.Response(400, request=REQUEST)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (openai.BadRequestError("no", response=ANSWER, body=None), "status"),
        (openai.APITimeoutError(REQUEST), "timeout"),
        (openai.APIConnectionError(request=REQUEST), "connection"),
        (openai.APIError("no", REQUEST, body=None), "error_raised"),
        (openai.APIResponseValidationError(ANSWER, body=None), "malformed"),
        (json.JSONDecodeError("no", "{", 0), "malformed"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), "malformed"),
    ],
)
def test_exceptions_are_told_apart(error: Exception, kind: str) -> None:
    """Each exception that the SDK can raise has its kind, the narrow classes before the wide one."""
    assert isinstance(error, error_handling.EXPECTED)
    assert error_handling.kind_of_exception(error) == kind


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (ResponseCompletedEvent.model_validate({**e.COMPLETED, "response": e.response()}), ""),
        (ResponseIncompleteEvent.model_validate(e.INCOMPLETE), ""),
        (ResponseIncompleteEvent.model_validate(e.FILTERED), "incomplete"),
        (ResponseFailedEvent.model_validate(e.FAILED), "failed"),
        (ResponseErrorEvent(type="error", message="no", code=None, param=None, sequence_number=1), "error_event"),
    ],
)
def test_ends_are_told_apart(event: Any, kind: str) -> None:
    """A good end is one, also at the asked length; each bad end has its kind."""
    assert error_handling.ending(event) == kind


def test_a_body_that_is_no_response_is_malformed() -> None:
    """The SDK hands over the text of a body that is not called JSON; a whole Response is no fault."""
    assert error_handling.kind_of_response("<html>") == "malformed"
    assert error_handling.kind_of_response(Response.model_validate(e.response())) is None
    assert error_handling.kind_of_response(Response.model_validate(e.response("failed"))) == "failed"


class Event:
    """An event of any type with any fields, as the SDK builds them from servers that leave fields out."""

    def __init__(self, type_: str, **fields: Any) -> None:
        self.type = type_
        self.__dict__.update(fields)


def item(number: int, arguments: str = "") -> Any:
    """A function call."""
    return Event("function_call", name=f"f{number}", arguments=arguments, call_id=f"c{number}")


def added(number: int) -> Event:
    return Event("response.output_item.added", output_index=number, item=item(number))


def arguments_done(number: int) -> Event:
    return Event("response.function_call_arguments.done", output_index=number, arguments=f"{{{number}}}")


def item_done(number: int) -> Event:
    return Event("response.output_item.done", output_index=number, item=item(number, f"{{{number}}}"))


WHOLE = Event("response.completed", response=Event("response", output=[item(0, "{0}"), item(1, "{1}")]))


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([added(0), added(1), arguments_done(1), arguments_done(0)], id="interleaved"),
        pytest.param([added(0), arguments_done(0), item_done(0), added(1), item_done(1)], id="one by one"),
        pytest.param([item_done(0), item_done(1)], id="only whole items"),
        pytest.param([], id="only the whole answer"),
    ],
)
def test_each_call_is_found_once(events: list[Event]) -> None:
    """However a server tells of its calls, each is given once, with its name, in the order of the output."""
    calls = parallel_calls.Calls()
    found = [call for event in [*events, WHOLE] for call in calls.feed(event)]
    assert parallel_calls.assemble(found) == [["f0", "{0}"], ["f1", "{1}"]]


GOOD = ["get_weather", '{"location": "Rome", "unit": "celsius", "days": 1}']
PLACE = ["get_weather", '{"location": "Rome"}']


@pytest.mark.parametrize(
    ("plugin", "result"),
    [
        (parallel_calls, [GOOD]),
        (parallel_calls, [GOOD, ["get_time", GOOD[1]]]),
        (parallel_calls, [GOOD, ["get_weather", '{"location": "Rome"}']]),
        (agent_loop, {"calls": [], "text": "Hello"}),
        (agent_loop, {"calls": [PLACE], "text": " "}),
        (agent_loop, {"calls": [["get_time", "{}"]], "text": "Hello"}),
        (agent_loop, {"calls": [["get_weather", "{}"]], "text": "Hello"}),
        (refusal, {"refused": True, "text": ""}),
        (recovery, " "),
        (error_handling, ""),
    ],
)
def test_what_is_not_valid_is_refused(plugin: ModuleType, result: Any) -> None:
    """Too few calls, unknown functions, arguments that do not fit, and blank texts fail the check."""
    for scenario in plugin.register_scenarios():
        with pytest.raises(ValueError):  # noqa: PT011  (each says something else)
            scenario.check(result)


def test_what_is_valid_passes() -> None:
    """Two calls that fit, an agent's calls with an answer, a refusal with a text."""
    parallel_calls.check([GOOD, GOOD])
    agent_loop.check({"calls": [PLACE], "text": "Go out."})
    refusal.check({"refused": True, "text": "No."})


def test_an_agent_tells_the_model_what_is_wrong_with_a_call() -> None:
    """A good call has a result; an unknown function and arguments that do not fit are said, and nothing is raised."""
    assert json.loads(agent_loop.result_of("get_weather", '{"location": "Rome"}'))["location"] == "Rome"
    assert "no function 'x'" in agent_loop.result_of("x", "{}")
    assert "not valid" in agent_loop.result_of("get_weather", "{")


def test_the_answer_is_the_text_behind_the_last_call() -> None:
    """What a model says before a call is no part of the answer."""
    call = agent_loop.Call(*PLACE)
    assert agent_loop.assemble(["Let me see.", call, "Go", " out."]) == {"calls": [PLACE], "text": "Go out."}
