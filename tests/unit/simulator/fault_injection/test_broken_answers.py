"""Faults: which one an attempt meets, and what it does to an answer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.core.errors import BenchError
from bench.core.script import Fault, FaultKind, Turn
from bench.simulator.answers import AnswerPart, SimulatedAnswer
from bench.simulator.fault_injection.broken_answers import break_stream, broken_body
from bench.simulator.fault_injection.chances import Attempts, attempt_key, fault_name, fault_of, parse_chances
from bench.simulator.replies.responses import Reply
from bench.simulator.requests.responses import parse_request
from bench.simulator.script_file import read_scripts
from bench.simulator.simulation import Simulation, ended_by, generate
from bench.simulator.truth import TruthLog

ANSWER = SimulatedAnswer(parts=[AnswerPart(kind="message", tokens=list("abcdefghij"))])
TIMES = [(1, due) for due in range(10, 110, 10)]
KINDS: list[FaultKind] = ["cut", "silent_end", "malformed", "error", "error_nested", "failed"]


def reply(answer: SimulatedAnswer = ANSWER) -> Reply:
    """A reply of ten deltas."""
    return Reply(parse_request(b'{"model": "sim-1", "input": "hi"}'), answer)


def types(fault: Fault) -> list[str]:
    """Event types of a stream with this fault."""
    made = reply()
    return [type_ for _, type_, _ in break_stream(fault, made.frames(TIMES), made)]


@pytest.mark.parametrize(
    ("text", "fault", "anywhere"),
    [
        ("cut=0.1", Fault(kind="cut"), True),
        ("cut:0.25=0.1", Fault(kind="cut", after=0.25), False),
        ("stall:300=0.1", Fault(kind="stall", ms=300), True),
        ("slow_headers:20=0.1", Fault(kind="slow_headers", ms=20), True),
        ("429=0.1", Fault(kind="status", status=429), True),
        ("503:0.5=0.1", Fault(kind="status", status=503, retry_after_s=0.5), False),
        ("stall:2s=0.1", Fault(kind="stall", ms=2000), True),
        ("slow_headers:300 MS=0.1", Fault(kind="slow_headers", ms=300), True),
        ("429:500ms=0.1", Fault(kind="status", status=429, retry_after_s=0.5), False),
    ],
)
def test_grammar(text: str, fault: Fault, anywhere: bool) -> None:
    """A value means ms, seconds of Retry-After or the share that is sent before, as the kind has it."""
    (chance,) = parse_chances([text])
    assert (chance.fault, chance.probability, chance.anywhere) == (fault, 0.1, anywhere)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["cut"], "expected KIND[:VALUE]=PROBABILITY"),
        (["cutt=0.1"], "unknown fault 'cutt': did you mean 'cut'"),
        (["status=0.1"], "unknown fault 'status'"),
        (["cut=often"], "the probability 'often' is no number"),
        (["cut=nan"], "is no number"),
        (["cut:2s=0.1"], "the value '2s' is no number"),
        (["stall:2x=0.1"], "the value '2x' is no number"),
        (["cut=1.5"], "from 0 to 1"),
        (["cut:x=0.1"], "the value 'x' is no number"),
        (["cut:2=0.1"], "after: Input should be less than or equal to 1"),
        (["200=0.1"], "status: Input should be greater than or equal to 400"),
        (["pings:3=0.1"], "pings takes no value"),
        (["cut=0.6", "429=0.5"], "add up to 1.1"),
    ],
)
def test_mistakes(texts: list[str], says: str) -> None:
    """What is wrong with a fault is one line that says so."""
    with pytest.raises(BenchError) as raised:
        parse_chances(texts)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_draws_are_seeded_and_as_often_as_asked() -> None:
    """The same seed, trial and attempt meet the same fault; over many trials each is met as often as asked."""
    chances = parse_chances(["cut=0.1", "429=0.3"])

    def drawn(seed: int) -> list[Fault | None]:
        return [fault_of(None, chances, seed=seed, key=str(key), attempt=0) for key in range(4000)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    counts = Counter(map(fault_name, drawn(1)))
    assert counts.keys() == {None, "cut", "429"}
    assert abs(counts["cut"] - 400) < 100  # five standard deviations
    assert abs(counts["429"] - 1200) < 150
    assert len({fault.after for fault in drawn(1) if fault and fault.kind == "cut"}) > 100


def test_certain_and_impossible() -> None:
    """A probability of 1 is always, of 0 never."""
    for probability, name in (("1", "cut"), ("0", None)):
        chances = parse_chances([f"cut={probability}"])
        faults = {fault_name(fault_of(None, chances, seed=0, key=str(key), attempt=0)) for key in range(500)}
        assert faults == {name}


def test_a_script_decides_by_attempt() -> None:
    """The faults of a script are met in their order, further attempts are healthy, and no chance adds to them."""
    turn = Turn(faults=(Fault(kind="cut"), None, Fault(kind="status", status=503)))
    chances = parse_chances(["500=1"])
    met = [fault_name(fault_of(turn, chances, seed=0, key="k", attempt=number)) for number in range(4)]
    assert met == ["cut", None, "503", None]


def test_a_written_stream_meets_no_fault() -> None:
    """It is delivered as it is, so the log must not tell of a fault that did not happen."""
    turn = Turn.model_validate({"writes": [{"at": 0, "raw": ": hi\n\n"}]})
    chances = parse_chances(["cut=1"])
    assert fault_of(turn, chances, seed=0, key="k", attempt=0) is None
    assert fault_of(Turn(), chances, seed=0, key="k", attempt=0) is not None


@pytest.mark.parametrize(
    "turn",
    [
        {"status": 503},
        {"headers": {"retry-after": "1"}},
        {"close": "cut"},
        {"items": [{"type": "function_call", "text": "hi"}]},
        {"items": [{"name": "find"}]},
        {"items": [{"type": "refusal", "arguments": {}}]},
        {"items": [{"text": "hi", "tokens": 3}]},
        {"faults": [{"kind": "cut", "ms": 5}]},
        {"faults": [{"kind": "malformed", "status": 503}]},
        {"faults": [{"kind": "pings", "after": 0.2}]},
    ],
)
def test_what_a_script_says_in_vain_is_refused(turn: dict[str, object]) -> None:
    """A key that would change nothing where it stands is a mistake, not a healthy answer."""
    with pytest.raises(ValidationError, match=r"writes|text|arguments|tokens|has no"):
        Turn.model_validate(turn)


def test_ids_do_not_change_the_fault() -> None:
    """A conversation that differs in nothing but ids, new in every run, meets the same faults."""

    def faults(run: str) -> list[str | None]:
        call = {"type": "function_call", "call_id": f"call_{run}", "name": "f", "arguments": "{}"}
        result = {"type": "function_call_output", "call_id": f"call_{run}", "output": "1"}
        chances = parse_chances(["cut=0.5"])
        simulation = Simulation(profile="flood", seed=1, nonce="", truth=TruthLog(None), chances=chances)
        asked = [[{"role": "user", "content": f"{number}"}, call, result] for number in range(20)]
        bodies = [orjson.dumps({"model": "sim-1", "input": items}) for items in asked]
        return [fault_name(generate(simulation, parse_request(body)).fault) for body in bodies]

    assert faults("a") == faults("b")
    assert set(faults("a")) == {None, "cut"}


def test_attempts() -> None:
    """Attempts are counted for each turn of each trial, known by its nonce, else by the question."""
    count = Attempts()
    one = attempt_key(["no", "[0123456789abcdef] hi"], lambda: "a", 0)
    assert one == attempt_key(["[0123456789abcdef] ho"], lambda: "b", 0)
    plain = attempt_key(["hi"], lambda: "a", 0)
    assert plain != attempt_key(["hi"], lambda: "b", 0)
    other = attempt_key(["[0123456789abcdef] hi"], lambda: "a", 1)
    assert [count.count(key) for key in (one, plain, one, other, one)] == [0, 0, 1, 0, 2]


def test_attempts_are_forgotten() -> None:
    """The memory of attempts has a bound; what was asked last stays."""
    count = Attempts()
    for key in range(30_000):
        count.count(str(key))
    assert count.count("29999") == 1
    assert count.count("0") == 0


@given(st.sampled_from(KINDS), st.floats(0, 1))
def test_a_broken_stream_begins_like_the_healthy_one(kind: FaultKind, after: float) -> None:
    """Up to the fault it is the healthy stream with that share of its deltas; its terminal event never comes."""
    made = reply()
    healthy = list(made.frames(TIMES))
    frames = list(break_stream(Fault(kind=kind, after=after), healthy, made))
    own = 0 if kind in {"cut", "silent_end"} else 1
    head = frames[: len(frames) - own]
    assert head == healthy[: len(head)]
    assert sum(made.is_delta(frame) for frame in head) == round(10 * after)
    assert "response.completed" not in [type_ for _, type_, _ in frames]


@pytest.mark.parametrize(
    ("kind", "last"),
    [("malformed", "malformed"), ("error", "error"), ("error_nested", "error"), ("failed", "response.failed")],
)
def test_last_words(kind: FaultKind, last: str) -> None:
    """The stream ends with the frame that is wrong."""
    assert types(Fault(kind=kind))[-1] == last


def test_frames_that_are_wrong() -> None:
    """A malformed frame is no JSON; flat and nested errors have their shapes; `failed` carries the response."""
    made = reply()

    def data(kind: FaultKind) -> bytes:
        frame = list(break_stream(Fault(kind=kind), made.frames(TIMES), made))[-1][2]
        return frame.partition(b"data: ")[2]

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(data("malformed"))
    flat, nested, failed = (orjson.loads(data(kind)) for kind in ("error", "error_nested", "failed"))
    assert flat == flat | {"type": "error", "sequence_number": 9, "code": "server_error", "param": None}
    assert set(nested) == {"error"}
    assert nested["error"]["message"] == flat["message"] == failed["response"]["error"]["message"]
    assert (failed["response"]["status"], failed["response"]["output"]) == ("failed", [])


def test_stall_and_slow_headers_are_late_and_healthy() -> None:
    """A stall moves what comes after it, slow headers everything; nothing is lost."""
    made = reply()
    healthy = list(made.frames(TIMES))
    stalled = list(break_stream(Fault(kind="stall", ms=1), healthy, made))
    slow = list(break_stream(Fault(kind="slow_headers", ms=1), healthy, made))
    assert [frame[1:] for frame in stalled] == [frame[1:] for frame in slow] == [frame[1:] for frame in healthy]
    late = [later[0] - usual[0] for later, usual in zip(stalled, healthy, strict=True)]
    assert late == [0] * 9 + [1_000_000] * (len(healthy) - 9)
    assert {later[0] - usual[0] for later, usual in zip(slow, healthy, strict=True)} == {1_000_000}


def test_incomplete_shortens_the_answer() -> None:
    """The answer ends as `incomplete` for `content_filter` after its share of the tokens, at least one."""
    for after, text in ((0.3, "abc"), (0.0, "a"), (1.0, "abcdefghij")):
        answer = ended_by(Fault(kind="incomplete", after=after), ANSWER)
        assert (answer.parts[0].text, answer.reason) == (text, "content_filter")
        assert reply(answer).body()["incomplete_details"] == {"reason": "content_filter"}
    assert ended_by(Fault(kind="cut"), ANSWER) is ANSWER


def test_blocking_bodies() -> None:
    """Half the JSON, nothing, or a Response that failed: the blocking counterparts."""
    made = reply()
    whole = orjson.dumps(made.body())
    assert abs(len(broken_body(Fault(kind="malformed"), made)) - len(whole) // 2) <= 1
    assert broken_body(Fault(kind="silent_end"), made) == b""
    for kind in ("error", "error_nested", "failed"):
        body = orjson.loads(broken_body(Fault(kind=kind), made))
        assert (body["status"], body["error"]["code"]) == ("failed", "server_error")


def test_script_file(tmp_path: Path) -> None:
    """A script file gives turns by model, a list of them or one."""
    path = tmp_path / "s.json"
    path.write_text(
        json.dumps({"*": {"items": [{"text": "one"}]}, "mine": [{"end": "completed"}, {"interleaved": True}]})
    )
    scripts = read_scripts(path)
    assert [len(scripts[name]) for name in ("*", "mine")] == [1, 2]
    assert scripts["*"][0].items[0].text == "one"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": ', r"s.json:1:7: not valid JSON"),
        ("[]", "expected a JSON object of turns by model"),
        ('{"a": []}', "s.json: a: has no turn"),
        ('{"a": [{}, {"itms": []}]}', "s.json: a, turn 1: itms: Extra inputs"),
        ('{"a": {"items": [{"tokens": 0}]}}', "s.json: a, turn 0: items.0.tokens: Input should be"),
        ('{"a": {"writes": [{"at": 1}], "items": [{}]}}', "`writes` is the whole stream"),
    ],
)
def test_script_file_mistakes(tmp_path: Path, text: str, says: str) -> None:
    """What is wrong with a script file is one line that names the place."""
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(BenchError) as raised:
        read_scripts(path)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
