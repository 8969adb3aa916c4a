"""What a command writes and prints besides its table: exports, JSON, the browser, and no names of hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from bench.core.errors import BenchError
from bench.reports.builtin import register_reporters
from bench.reports.files import check_output
from bench.reports.output import Output
from tests.support.cli import BENCH, bench, environment, invoke
from tests.support.synthetic import Truth, make_run

PLUGIN = """
from bench import Reporter, hookimpl


def render(summary):
    return f"{summary.headline}\\n"


@hookimpl
def register_reporters():
    yield Reporter("chat", "chat.txt", render, always=False)
    yield Reporter("line", None, render, always=False)
"""
HOST = "planted.host.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of a real endpoint, and a plugin with two reporters."""
    truth = Truth(host=f"{HOST}:8000", simulated=False, target="lab", fail={("streamed", 1): "connect"})
    command = ["bench", "run", "--base-url", f"https://{HOST}:8000/v1"]
    make_run(tmp_path / "reports" / "first", [truth], pairs=3, memory=False, manifest={"command": command})
    (tmp_path / "chat.py").write_text(dedent(PLUGIN))
    return tmp_path


def files(folder: Path) -> set[str]:
    """The reports in the run's folder."""
    return {path.name for path in (folder / "reports" / "first").iterdir() if path.suffix in {".txt", ".md", ".html"}}


@pytest.mark.slow
def test_a_reporter_from_outside_is_written_when_it_is_named(folder: Path) -> None:
    """Registered by a plugin file: to its own file, or to one that is named; the table is shown all the same."""
    done = invoke(
        *["report", "first", "--plugin", "chat.py"],
        *["--export", "chat", "--export", "line=line.txt", "--export", "csv=numbers.csv"],
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "real endpoint" in done.stdout
    assert files(folder) == {"report.md", "report.html", "chat.txt"}
    assert (folder / "line.txt").read_text().startswith(f"real endpoint {HOST}")
    assert (folder / "numbers.csv").read_bytes() == (folder / "reports" / "first" / "summary.csv").read_bytes()
    assert "line.txt written" in done.stderr


def test_the_list_says_when_a_reporter_is_written(folder: Path) -> None:
    """Its file, always or by name, or that it has none."""
    listed = " ".join(invoke("list", "--plugin", "chat.py", cwd=folder).stdout.split())
    assert "html report.html, always" in listed
    assert "chat chat.txt, with --export chat" in listed
    assert "line --export line=FILE" in listed


def test_a_bad_export_is_refused_before_anything_is_sent(folder: Path) -> None:
    """Exit 2 with one line, and no run folder is made."""
    done = invoke("run", "text", "--export", "markdwn", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown reporter 'markdwn': did you mean 'markdown'?" in done.stderr.splitlines()[-1]
    assert [path.name for path in (folder / "reports").iterdir()] == ["first"]


@pytest.mark.slow
def test_a_report_to_stdout_stands_alone(folder: Path) -> None:
    """NAME=- prints that report and no table; one that is not named is not written."""
    done = invoke("report", "first", "--plugin", "chat.py", "--export", "csv=-", cwd=folder)
    assert done.stdout.encode() == (folder / "reports" / "first" / "summary.csv").read_bytes()
    assert files(folder) == {"report.md", "report.html"}


@pytest.mark.skipif(sys.platform == "win32", reason="a script as browser")
@pytest.mark.slow
def test_open_and_json(folder: Path) -> None:
    """The browser gets the address of report.html; with --json stdout is summary.json to the byte."""
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened\n')
    browser.chmod(0o755)
    done = invoke("report", "first", "--open", "--json", cwd=folder, env={"BROWSER": f"{browser} %s"})
    assert done.returncode == 0, done.stderr
    page = folder / "reports" / "first" / "report.html"
    assert (folder / "opened").read_text().strip() == page.resolve().as_uri()
    assert done.stdout.encode() == (folder / "reports" / "first" / "summary.json").read_bytes()
    assert json.loads(done.stdout)["run_id"] == "first"


@pytest.mark.slow
def test_anonymize_leaves_no_host_anywhere(folder: Path) -> None:
    """In no report, export or line of the terminal; the records keep it."""
    run = folder / "reports" / "first"
    before = (run / "plan.json").read_bytes()
    options = ["--anonymize", "--plugin", "chat.py", "--export", "chat", "--export", "json=out.json"]
    gate = ["--fail-on", "ttft > 1s", "--allow-undecided"]
    done = bench("report", run, *options, *gate, cwd=folder, env={"PYTHONIOENCODING": "ascii", "HOME": str(folder)})
    assert done.returncode == 0, done.stderr
    assert "~/reports/first/report.html" in done.stdout, "nor the home folder"
    written = [run / "report.md", run / "report.html", run / "summary.csv", run / "summary.json", run / "chat.txt"]
    texts = [path.read_text() for path in (*written, folder / "out.json")] + [done.stdout, done.stderr]
    assert not [text for text in texts if HOST in text]
    assert "anonymized: hosts are called host-1" in done.stdout
    assert "real endpoint host-1:8000" in (run / "chat.txt").read_text()
    assert (run / "plan.json").read_bytes() == before


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (Output(exports=["csv=reports/first/plan.json"]), "plan.json is a record of the run in first"),
        (Output(exports=["csv=reports/first/Trials.parquet"]), "is a record"),
        (Output(junit=Path("reports/first/manifest.json")), "manifest.json is a record"),
        (Output(exports=["csv=x", "json=./x"]), "csv and json both go to x"),
    ],
)
def test_an_export_goes_over_nothing_that_is_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, output: Output, why: str
) -> None:
    """Neither over a record of a run, from which its reports are made, nor over another export."""
    monkeypatch.chdir(folder)
    with pytest.raises(BenchError, match=why):
        check_output(register_reporters(), output)


@pytest.mark.skipif(sys.platform == "win32", reason="closes a pipe under a process")
@pytest.mark.slow
def test_a_reader_that_leaves_is_no_failed_condition(folder: Path) -> None:
    """As in `bench report | head`: the files are written, and the exit code is the gate's; 4 is `cannot be decided`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*BENCH, "report", "first", "--fail-on", "ttft > 1s", "--junit", "junit.xml"]
    done = subprocess.run(
        command, cwd=folder, env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.returncode == 4, done.stderr
    assert (folder / "junit.xml").is_file()
    assert "Error" not in done.stderr
