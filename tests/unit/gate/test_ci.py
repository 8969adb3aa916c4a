"""What CI is told: exit codes, JUnit XML, the step summary and the annotations of GitHub."""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.build import build
from bench.core.errors import BenchError
from bench.core.summary import Summary
from bench.gate import github, junit
from bench.gate.condition import Decision
from bench.gate.run_gate import run_gate
from bench.gate.terminal import exit_code, outcome, worst_first, write
from bench.reports.output import Output
from tests.support.synthetic import Truth, make_run

TEXTS = st.text(max_size=30)


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Of two scenarios."""
    return build(make_run(tmp_path_factory.mktemp("ci") / "run", [Truth(), Truth(scenario="function_call")]))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on GitHub, whoever runs the tests."""
    monkeypatch.delenv(github.SUMMARY, raising=False)
    monkeypatch.delenv(github.ACTIONS, raising=False)


def _parsed(file: bytes) -> ET.Element:
    return ET.fromstring(file)  # noqa: S314  (our own)


def judged(verdict: str, number: int = 0, excess: float = 0.0, said: str = "why") -> Decision:
    return Decision(f"ttft > {number}ms", "text", "text ttft p50 streamed", verdict, said, excess)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "errors", "allowed", "code"),
    [
        ([], [], False, 0),
        (["PASS"], [], False, 0),
        (["PASS", "UNDECIDED"], [], False, 4),
        (["PASS", "UNDECIDED"], [], True, 0),
        (["UNDECIDED", "FAIL"], [], False, 1),
        (["UNDECIDED", "FAIL"], [], True, 1),
        (["PASS", "FAIL"], ["about nothing"], True, 2),
    ],
)
def test_exit_codes(verdicts: list[str], errors: list[str], allowed: bool, code: int) -> None:
    """A mistake is 2, a failure 1 even beside an undecided one, which alone is 4 unless that is allowed."""
    assert exit_code([judged(verdict) for verdict in verdicts], errors, allow_undecided=allowed) == code


def test_one_line_each() -> None:
    """Each verdict is one line however long it is, and the last line counts them; no colours where piped."""
    stream = io.StringIO()
    write([judged("FAIL", said="x" * 300), judged("PASS", 2000)], ["about nothing"], stream, allow_undecided=False)
    lines = stream.getvalue().splitlines()
    assert lines == [
        "",
        f"FAIL       ttft > 0ms     text ttft p50 streamed: {'x' * 300}",
        "PASS       ttft > 2000ms  text ttft p50 streamed: why",
        "ERROR      about nothing",
        "gate: 1 failed, 1 passed, 1 about nothing that was measured",
    ]
    assert outcome([judged("UNDECIDED")], [], allow_undecided=True) == "1 undecided (undecided ones are allowed)"


def test_what_a_server_said_moves_no_cursor() -> None:
    """A reason may be the server's text: no control character reaches the terminal, and no line of its own CI."""
    stream = io.StringIO()
    write([judged("UNDECIDED", said="no\x1b[2J\n::error::such model")], ["of \x1b[2J"], stream, allow_undecided=False)
    assert "\x1b" not in stream.getvalue()
    assert not any(line.startswith("::") for line in stream.getvalue().splitlines())


def test_the_whole_gate(summary: Summary, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Conditions in, verdicts on stdout, a JUnit file, and the exit code; with --json they are on stderr."""
    conditions = ["text.ttft > 1s", "ttft > 1ms"]
    output = Output(fail_on=conditions, junit=tmp_path / "new" / "junit.xml")
    assert run_gate(summary, [], output, conditions) == 1
    printed = capsys.readouterr()
    assert re.findall(r"^\w+", printed.out, re.MULTILINE) == ["PASS", "FAIL", "FAIL", "gate"]
    assert printed.err == ""
    assert (tmp_path / "new" / "junit.xml").is_file()
    assert run_gate(summary, [], Output(as_json=True), ["ttft.p99 > 1s"]) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "UNDECIDED" in printed.err
    assert run_gate(summary, [], Output(allow_undecided=True), ["ttft.p99 > 1s"]) == 0
    assert run_gate(summary, [], Output(), ["nonsense > 1s"]) == 2
    capsys.readouterr()
    assert run_gate(summary, [], Output(), []) == 0
    assert capsys.readouterr().out == ""


def test_junit(summary: Summary) -> None:
    """A suite for each scenario with the run's properties; the counts are those of its cases."""
    verdicts = [judged("PASS"), judged("FAIL", 1), judged("UNDECIDED", 2)]
    verdicts.append(Decision("ttft > 1s", "rag", "rag ttft p50 streamed", "PASS", "fine"))
    root = _parsed(junit.render(summary, verdicts, ["about nothing"]))
    assert [suite.get("name") for suite in root] == ["text", "rag", "gate"]
    for suite in root:
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        for count, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert suite.get(count) == str(len(list(suite.iter(tag))))
    assert root.attrib == {"name": "streambench", "tests": "5", "failures": "1", "errors": "1"}
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "why"
    properties = {one.get("name"): one.get("value") for one in root[0].iter("property")}
    assert properties == {"run": "run", "trust": "UNCHECKED", "host": "embedded simulator", "model": "sim-1"}
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)


@given(TEXTS, TEXTS)
def test_junit_of_any_text(summary: Summary, said: str, subject: str) -> None:
    """Whatever a server said, the file is XML; what XML cannot hold is a replacement character."""
    one = Decision("ttft > 1s", subject, subject, "FAIL", said)
    failure = _parsed(junit.render(summary, [one])).find(".//failure")
    assert failure is not None
    allowed = "".join(
        sign if sign in "\t\n\r" or " " <= sign <= "\ufffd" or sign > "\uffff" else "\ufffd" for sign in said
    )
    assert (failure.text or "") == allowed.replace("\r\n", "\n").replace("\r", "\n")


def test_junit_cannot_be_written(summary: Summary, tmp_path: Path) -> None:
    """A file that cannot be written is one line that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"--junit .*junit\.xml: cannot be written"):
        junit.write(tmp_path / "file" / "junit.xml", summary, [])


def test_step_summary(summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On GitHub the gate's table, worst first, and the report are appended to the step's summary, as without a gate."""
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv(github.SUMMARY, str(file))
    run_gate(summary, [], Output(), ["ttft > 1s", "text.ttft > 1ms"])
    text = file.read_text("utf-8")
    assert text.startswith("before\n## Gate: 1 failed, 2 passed\n")
    assert text.index("| **FAIL** | text.ttft &gt; 1ms | text ttft p50 streamed |") < text.index("| **PASS** |")
    assert "# streambench: run" in text
    run_gate(summary, [], Output(), [])
    assert file.read_text("utf-8").count("# streambench: run") == 2


def test_step_summary_is_never_too_large(
    summary: Summary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thousand verdicts are cut; a file that is nearly full, or cannot be written, is left and said."""
    text = github.step_summary(
        summary, [judged("FAIL", n, said="x" * 200) for n in range(1000)], [], allow_undecided=False
    )
    assert "… and 800 more." in text
    assert len(text.encode()) < 2**18
    file = tmp_path / "full.md"
    file.write_bytes(b" " * (2**20 - 100))
    monkeypatch.setenv(github.SUMMARY, str(file))
    assert run_gate(summary, [], Output(), []) == 0
    assert file.stat().st_size == 2**20 - 100
    assert "the report does not fit" in capsys.readouterr().err
    monkeypatch.setenv(github.SUMMARY, str(tmp_path))
    assert run_gate(summary, [], Output(), []) == 0
    assert "cannot be written" in capsys.readouterr().err


def test_annotations(summary: Summary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """At most ten, the worst first: what is farthest beyond its limit, then what is undecided, never what passed."""
    many = [judged("PASS"), judged("UNDECIDED", 99), *(judged("FAIL", n, excess=n) for n in range(12))]
    commands = github.commands(many, [], allow_undecided=False)
    assert len(commands) == 10
    assert commands[0] == "::error title=FAIL ttft > 11ms::text ttft p50 streamed: why"
    assert [one.condition for one in worst_first(many)][12:] == ["ttft > 99ms", "ttft > 0ms"]
    assert github.commands(many[:2], [], allow_undecided=True) == []
    assert github.commands(many[:2], [], allow_undecided=False)[0].startswith("::warning title=UNDECIDED")
    monkeypatch.setenv(github.ACTIONS, "true")
    run_gate(summary, [], Output(), ["text.ttft > 1ms"])
    assert len(re.findall(r"^::error title=FAIL text\.ttft > 1ms::text", capsys.readouterr().out, re.MULTILINE)) == 1


@given(TEXTS, TEXTS)
def test_annotations_of_any_text(title: str, said: str) -> None:
    """A command is one line: nothing in its texts ends it or begins another property, and it can be read back."""
    (command,) = github.commands([Decision(title, "text", "text", "FAIL", said)], [], allow_undecided=False)
    assert "\n" not in command
    assert "\r" not in command
    found = re.fullmatch(r"::error title=([^:,]*)::(.*)", command, re.DOTALL)
    assert found
    assert _unescaped(found[1]) == f"FAIL {title}"
    assert _unescaped(found[2]) == f"text: {said}"


def _unescaped(text: str) -> str:
    for code, sign in {"%3A": ":", "%2C": ",", "%0A": "\n", "%0D": "\r", "%25": "%"}.items():
        text = text.replace(code, sign)
    return text
