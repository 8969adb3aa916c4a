"""The whole gate: conditions in, verdicts, files and an exit code out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.core.results.summary import Summary
from bench.gate.run_gate import run_gate
from bench.reports.output import Output


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
