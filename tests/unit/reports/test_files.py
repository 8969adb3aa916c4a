"""Which run is meant, and writing its reports whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.core.errors import BenchError
from bench.core.results.summary import Reporter, Summary
from bench.records.find import find_run
from bench.reports.builtin import register_reporters
from bench.reports.files import check_output, write_reports
from bench.reports.output import Output
from tests.support.synthetic import make_run


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Three runs, the sample, a stray folder and one with an unreadable manifest."""
    for day, (run, name) in enumerate((("b-1", "base"), ("a-22", None), ("a-21", "base")), 1):
        make_run(tmp_path / run, pairs=1, manifest={"created": f"2026-01-0{day}T00:00:00Z", "name": name})
    make_run(tmp_path / "sample", pairs=1, manifest={"created": "2027-01-01T00:00:00Z"})
    (tmp_path / "stray").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "manifest.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    ("ref", "found"),
    [("latest", "a-21"), ("latest~1", "a-22"), ("latest~2", "b-1"), ("a-22", "a-22"), ("b", "b-1"), ("base", "a-21")],
)
def test_find_run(reports: Path, ref: str, found: str) -> None:
    """By age, by id, by the unique start of an id, by name (the newest that has it)."""
    assert find_run(reports, ref) == reports / found


def test_find_run_by_path(reports: Path) -> None:
    """A path wins, even to the sample."""
    assert find_run(reports, str(reports / "sample")) == reports / "sample"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("a-2", r"a-2: 2 run ids start so \(a-22, a-21\); type more of it"),
        ("latest~3", "latest~3: there are only 3 runs"),
        ("basse", "did you mean 'base'"),
        ("", "unknown run ''"),
    ],
)
def test_find_run_says_what_is_wrong(reports: Path, ref: str, message: str) -> None:
    """Ambiguous, too far back, misspelt: one line each, with the nearest name."""
    with pytest.raises(BenchError, match=message):
        find_run(reports, ref)


def test_find_run_without_any(tmp_path: Path) -> None:
    """An empty reports folder says how to make a run."""
    with pytest.raises(BenchError, match="no run in it; `bench run` makes one"):
        find_run(tmp_path, "latest")


def test_write_reports(tmp_path: Path) -> None:
    """Every built-in reporter with a file writes it, and nothing else is left in the folder."""
    run = make_run(tmp_path / "r", pairs=1)
    before = set(run.iterdir())
    written = write_reports(run, build(run), register_reporters())
    assert {path.name for path in written} == {"report.md", "summary.csv", "summary.json", "report.html"}
    assert set(run.iterdir()) - before == set(written)


def test_a_broken_reporter_writes_nothing(tmp_path: Path) -> None:
    """When a plugin's reporter raises, its name is said and no file is written."""

    def broken(_: Summary) -> str:
        raise ValueError("no luck")

    run = make_run(tmp_path / "r", pairs=1)
    before = set(run.iterdir())
    mixed = [Reporter("fine", "fine.txt", lambda _: "x"), Reporter("bad", "bad.txt", broken)]
    with pytest.raises(BenchError, match=r"reporter bad failed \(ValueError: no luck\)"):
        write_reports(run, build(run), mixed)
    assert set(run.iterdir()) == before


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        ("manifest.json", "manifest.json is written by the run itself"),
        ("Plan.json", "Plan.json is written by the run itself"),
        ("journal.jsonl", "journal.jsonl is written by the run itself"),
        ("trials.parquet", "trials.parquet is written by the run itself"),
        ("fine.txt", "fine.txt is written by reporter fine"),
        ("fine.txt.part", "is written by the run itself"),
        ("../x.txt", "'../x.txt' is not a plain file name"),
        ("a/x.txt", "'a/x.txt' is not a plain file name"),
        ("..", "'..' is not a plain file name"),
        ("", "'' is not a plain file name"),
    ],
)
def test_a_reporter_writes_only_its_own_file(tmp_path: Path, filename: str, message: str) -> None:
    """A file of the run, of another reporter or outside the folder is refused by name before anything is written."""
    run = make_run(tmp_path / "r", pairs=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    mixed = [Reporter("fine", "fine.txt", lambda _: "x"), Reporter("bad", filename, lambda _: "x")]
    with pytest.raises(BenchError) as caught:
        write_reports(run, build(run), mixed)
    assert str(caught.value).startswith("reporter bad: ")
    assert message in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A folder in the place of a report is named, and no half-written file stays."""
    run = make_run(tmp_path / "r", pairs=1)
    (run / "a.txt.part").mkdir()
    with pytest.raises(BenchError, match="the report cannot be written"):
        write_reports(run, build(run), [Reporter("a", "a.txt", lambda _: "x")])
    assert not (run / "a.txt").exists()


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        (["markdwn"], "unknown reporter 'markdwn': did you mean 'markdown'?"),
        (["terminal"], "it has no file of its own; say where: terminal=FILE"),
        (["csv=nowhere/x.csv"], "there is no folder nowhere; make it first"),
        (["csv=."], "that is no file; name one behind the ="),
        (["csv="], "that is no file; name one behind the ="),
        (["csv=-", "html=-"], "only one report can go to stdout"),
    ],
)
def test_what_cannot_be_exported(exports: list[str], said: str) -> None:
    """One line each: the nearest name, or what is wrong with the file."""
    with pytest.raises(BenchError) as caught:
        check_output(list(register_reporters()), Output(exports=exports))
    assert said in str(caught.value)


def test_stdout_is_for_one_only() -> None:
    """JSON and a report on stdout exclude each other."""
    with pytest.raises(BenchError, match="both want stdout"):
        check_output(list(register_reporters()), Output(exports=["csv=-"], as_json=True))


def test_a_named_reporter_may_not_take_a_file(tmp_path: Path) -> None:
    """One that is written when named is held to the same rules, and only then."""
    late = Reporter("late", "report.md", lambda _: "x", always=False)
    known = [*register_reporters(), late]
    assert check_output(known, Output()) == []
    with pytest.raises(BenchError, match=r"reporter late: report.md is written by reporter markdown"):
        check_output(known, Output(exports=["late"]))
    (export,) = check_output(known, Output(exports=[f"late={tmp_path}/x.md"]))
    assert export.file == tmp_path / "x.md"
