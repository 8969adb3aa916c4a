"""The page of the live view: fitted, harmless, and as it was approved."""

from __future__ import annotations

import pytest

from bench.run.liveview.screen import choose_cells, clock, number, one_line
from tests.support.live_messages import TIMES, begin, cell, drawn, pairs, so_far, state_of, trial
from tests.support.paths import ROOT

GOLDEN = ROOT / "tests/golden" / "liveview.txt"


def test_many_cells() -> None:
    """31 cells in 24 lines: those under way, then what ended last; a line counts the others."""
    cells = [cell(i, pairs=1, alone=False) for i in range(31)]
    ended = [one for i in range(12) for one in pairs(TIMES[:1], number=i)]
    state = state_of(begin(*cells), so_far(*ended, trial(0, "streamed", number=12)))
    for width in (60, 80, 120):
        text = drawn(state, width=width)
        assert len(text.splitlines()) < 24
        assert max(map(len, text.splitlines())) <= width
        assert "cell12 " in text
        assert "cell11 " in text
        assert "cell30 " not in text
        assert "under way" not in text
    shown, others = choose_cells(list(state.cells.values()), 4)
    assert [one.number for one in shown] == [9, 10, 11, 12]
    assert sum(one.is_over for one in others) == 9
    assert "… 27 more: 9 done, 18 to come" in drawn(state, height=18)


def test_rows_keep_their_places() -> None:
    """Cells that take turns pair by pair do not change places with every trial."""
    state = state_of(begin(*[cell(i) for i in range(9)]))
    seen = set()
    for turn in (0, 1, 2, 3, 4, 8, 5, 7, 6, 2, 8, 0):
        state.apply(so_far(trial(0, "streamed", number=turn)))
        shown, _ = choose_cells(list(state.cells.values()), 3)
        seen.add(tuple(one.number for one in shown))
    assert seen == {(0, 1, 2)}


def test_a_server_cannot_write_into_the_terminal() -> None:
    """Errors and names lose their control characters and line breaks, and mark-up in them stays text."""
    evil = "HTTP 500: \x1b[2J\x1b]0;owned\x07 [red]x[/red]\nnext \u202eback"
    state = state_of(begin(cell(label="a\x1b[31mb")), so_far(error=[0, "http_5xx", evil]))
    text = drawn(state, width=120)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[red]x[/red] next back" in text
    assert one_line("a\r\nb") == "a b"


@pytest.mark.parametrize(
    ("value", "text"), [(3.214, "3.21"), (32.14, "32.1"), (321.4, "321"), (3214.0, "3,214"), (float("inf"), "∞")]
)
def test_three_digits(value: float, text: str) -> None:
    """A time has three digits, or all before the point."""
    assert number(value) == text


def test_clock() -> None:
    """Minutes and seconds, hours where there are some."""
    assert [clock(seconds) for seconds in (0.4, 42, 3723)] == ["0:00", "0:42", "1:02:03"]


def test_the_whole_view() -> None:
    """What an 80 columns wide terminal shows, to the character."""
    failed = trial(98, "blocking", number=1, status="http_5xx")
    state = state_of(
        begin(cell(label="text"), cell(1, label="function_call"), cell(2, label="structured_output"), total=120),
        so_far(
            *pairs(TIMES[:18]),
            *pairs(TIMES[3:11], number=1),
            failed,
            done=54,
            total=120,
            lags=[0.2, 0.4, 0.3, 1.2, 0.1] * 4,
            spent={"input": 12_345, "output": 6_789, "untold": 0, "usd": 0.0425, "unpriced": False},
            error=[1, "http_5xx", "HTTP 500: the server had an error"],
        ),
    )
    assert drawn(state) == GOLDEN.read_text()
