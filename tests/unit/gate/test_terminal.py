"""What the gate prints, and its exit codes."""

from __future__ import annotations

import io

import pytest

from bench.gate.terminal import exit_code, outcome, write
from tests.support.decisions import judged


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
