"""What a test asserts on: the number that is meant or a line that says why not, and the gate's conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.gate.pytest.fixture import arguments
from bench.gate.pytest.result import Result
from tests.support.shelf import Shelf
from tests.support.synthetic import Truth, make_run

FAILED = pytest.fail.Exception


def made(folder: Path, *cells: Truth, pairs: int = 36) -> Result:
    """The result of a run with known truths."""
    run = make_run(folder, list(cells) or [Truth()], pairs=pairs)
    return Result(build(run), run)


@pytest.fixture(scope="module")
def result(shelf: Shelf) -> Result:
    """Text: first useful at 120 ms, whole after 420 ms, 36 pairs."""
    return Result(shelf.summary("plain"), shelf.run("plain"))


def test_options_are_those_of_the_command_line() -> None:
    """Names get dashes, true and false their flags, a list repeats its option, a mapping is JSON, None is left out."""
    options = {
        "base_url": "http://h/v1",
        "memory": False,
        "store_text": True,
        "model": ["a", "b"],
        "extra_body": {"top_k": 1},
        "pairs": 6,
        "seed": None,
    }
    expected = ["--base-url=http://h/v1", "--no-memory", "--store-text", "--model=a", "--model=b"]
    assert list(arguments(options)) == [*expected, '--extra-body={"top_k": 1}', "--pairs=6"]


def test_a_number_is_that_of_the_summary(result: Result) -> None:
    """The median comes with its interval and n, also of pairs and of the blocking way."""
    row = result.row("ttfu")
    assert (row.estimate, row.n) == (result.p50("ttfu"), 36)
    assert row.estimate == pytest.approx(120, rel=0.05)
    assert (row.low, row.high) != (None, None)
    assert result.p50("total", delivery="blocking") == pytest.approx(420, rel=0.05)
    assert result.value("gain", "hl", delivery="paired", unit="ms") == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"metric": "ttff"}, "no such metric; there are: .*ttft"),
        ({"metric": "ttft", "statistic": "p42"}, "of ttft there are: .*p50 streamed"),
        ({"metric": "ttft", "delivery": "blocking"}, "of ttft there are: .*p50 streamed"),
        ({"metric": "gain", "statistic": "hl", "delivery": "paired"}, "2 numbers; say which by unit"),
        ({"metric": "ttft", "modell": "sim-1"}, "modell: no such column; there are scenario"),
        ({"metric": "ttft", "statistic": "p99"}, "n/a .*368"),
    ],
)
def test_a_number_that_is_not_there_fails_the_test(result: Result, asked: dict[str, str], said: str) -> None:
    """What is misspelt, means several numbers or may not be printed is a line with what to write, and the folder."""
    with pytest.raises(FAILED, match=rf"(?s){said}.*plain"):
        result.value(**asked)


def test_several_models_are_told_apart(tmp_path: Path) -> None:
    """Where two models were measured the test says which one it means."""
    both = made(tmp_path / "run", Truth(), Truth(model="sim-2", useful_ms=240), pairs=12)
    assert both.p50("ttfu", model="sim-2") == pytest.approx(240, rel=0.05)
    with pytest.raises(FAILED, match="2 numbers; say which by model"):
        both.p50("ttfu")


@pytest.mark.parametrize("why", ["saturated", "invalid"])
def test_a_number_that_may_not_be_believed_fails_the_test(result: Result, why: str) -> None:
    """The records keep the numbers of a client that was too slow; a test does not pass on them."""
    cell = replace(result.summary.cells[0], **{why: "the loop was late"})  # type: ignore[arg-type]
    doubtful = replace(result, summary=replace(result.summary, cells=(cell,)))
    with pytest.raises(FAILED, match=r"n/a .*late"):
        doubtful.p50("ttft")
    with pytest.raises(FAILED, match=r"UNDECIDED ttft > 10s .*late"):
        doubtful.fail_on("ttft > 10s")


def test_conditions_are_those_of_the_gate(result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds fails the test with the gate's sentence; what does not hold is printed as PASS."""
    result.fail_on("ttfu > 150ms", "failures > 20%")
    assert capsys.readouterr().out.count("PASS") == 2
    with pytest.raises(FAILED, match=r"^FAIL ttfu > 100ms  text ttfu p50 streamed: .*n=36.*\n.*plain$"):
        result.fail_on("ttfu > 150ms", "ttfu > 100ms")
    with pytest.raises(FAILED, match="did you mean 'ttfu'"):
        result.fail_on("ttff > 1ms")


def test_what_the_data_cannot_say(result: Result) -> None:
    """A limit within the interval fails the test, or skips it, or lets it pass: as the test says."""
    held = f"ttfu > {result.p50('ttfu')}ms"
    with pytest.raises(FAILED, match=r"UNDECIDED ttfu > .*the interval holds"):
        result.fail_on(held)
    with pytest.raises(pytest.skip.Exception, match="UNDECIDED"):
        result.fail_on(held, undecided="skip")
    result.fail_on(held, undecided="pass")
    with pytest.raises(FAILED, match="FAIL ttfu > 1ms"):
        result.fail_on(held, "ttfu > 1ms", undecided="pass")


def test_against_a_baseline(result: Result, tmp_path: Path) -> None:
    """The baseline is another result, or a stored run by its path; without one the condition is an error."""
    slower = made(tmp_path / "run", Truth(useful_ms=180))
    for baseline in (result, result.folder, str(result.folder)):
        with pytest.raises(FAILED, match=r"FAIL ttfu:\+10%"):
            slower.fail_on("ttfu:+10%", baseline=baseline)
    slower.fail_on("ttfu:+90%", baseline=result)
    with pytest.raises(FAILED, match="against which baseline"):
        slower.fail_on("ttfu:+10%")
    with pytest.raises(FAILED, match="nowhere"):
        slower.fail_on("ttfu:+10%", baseline="nowhere")
