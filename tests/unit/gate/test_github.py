"""The step summary and the annotations of GitHub."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given

from bench.core.results.summary import Summary
from bench.gate import github
from bench.gate.condition import Decision
from bench.gate.run_gate import run_gate
from bench.gate.terminal import worst_first
from bench.reports.output import Output
from tests.support.decisions import TEXTS, judged


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
