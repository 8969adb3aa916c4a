"""The fixture `stream_bench` as a team uses it: in a pytest session of its own, with the plugin installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.simulator.process import running
from tests.support.plugged import session

MEASURED = """
import pytest

@pytest.fixture(scope="module")
def result(stream_bench):
    return stream_bench("text", target="sim", profile="flood", output_tokens=10, pairs=6, warmup=0)

"""
LOADED = """
import sys

def test_modules(request):
    known = {"numpy", "pandas", "openai", "pydantic", "click", "bench"}
    assert sorted(known & set(sys.modules)) == []
    assert "streambench_pytest" in sys.modules
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server that is up."""
    with running(profile="flood") as simulator:
        yield simulator.base_url


def outcomes(printed: str) -> dict[str, int]:
    """The last line of a session: `1 failed, 2 passed in 3 s`."""
    last = printed.strip().splitlines()[-1]
    return {name: int(number) for number, name in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}


@pytest.mark.paced
@pytest.mark.slow
def test_a_test_asserts_on_what_was_measured(tmp_path: Path) -> None:
    """One run serves several tests; what fails shows the run folder, and a number's name is checked."""
    (tmp_path / "test_it.py").write_text(
        MEASURED
        + "def test_good(result):\n"
        + "    assert 0 < result.row('ttft').estimate < result.row('total', delivery='blocking').estimate\n"
        + "    assert result.row('gain', 'hl', delivery='paired', unit='ms').n == 6\n"
        + "    assert result.summary.manifest['name'] == 'test_good'\n"
        + "def test_slow(result):\n    assert result.row('ttft').estimate < 0\n"
        + "def test_misspelt(result):\n    assert result.p50('ttff') < 0\n"
    )
    done = session(tmp_path, "--stream-bench", "--stream-bench-out=kept")
    assert outcomes(done.stdout) == {"failed": 2, "passed": 1}, done.stdout
    (run,) = (tmp_path / "kept").iterdir()
    assert {"report.html", "trials.parquet"} <= {file.name for file in run.iterdir()}
    assert "no such metric; there are: " in done.stdout
    assert str(run) in done.stdout


def test_nothing_is_sent_unasked(tmp_path: Path) -> None:
    """Without the switch a test that measures is skipped with a line that says how, and nothing heavy was imported."""
    (tmp_path / "test_it.py").write_text(LOADED + MEASURED + "def test_one(result):\n    pass\n")
    done = session(tmp_path, "-rs", autoload=True)
    assert outcomes(done.stdout) == {"passed": 1, "skipped": 1}, done.stdout
    assert "run it with --stream-bench" in done.stdout
    assert not re.search(r"^stream", done.stdout, re.MULTILINE)  # beyond its name in pytest's list of plugins


def test_beside_other_workers_it_does_not_measure(tmp_path: Path) -> None:
    """With several workers of pytest-xdist the test fails with a line: skipped, a gate would seem to have passed."""
    (tmp_path / "test_it.py").write_text(MEASURED + "def test_one(result):\n    pass\n")
    done = session(tmp_path, "--stream-bench", PYTEST_XDIST_WORKER_COUNT="2")
    assert outcomes(done.stdout) == {"error": 1}, done.stdout
    assert "with -n 0" in done.stdout


def test_a_project_with_a_package_bench_of_its_own(tmp_path: Path) -> None:
    """Its tests import its own package, installed or not; only a test that would measure fails, with the reason."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("ours = True\n")
    (tmp_path / "test_it.py").write_text(
        "import bench\n" + MEASURED + "def test_ours():\n    assert bench.ours\ndef test_one(result):\n    pass\n"
    )
    done = session(tmp_path, "--stream-bench")
    assert outcomes(done.stdout) == {"passed": 1, "error": 1}, done.stdout
    assert "another package named bench than streambench's comes first" in done.stdout


@pytest.mark.paced
@pytest.mark.slow
def test_the_endpoint_of_the_session(tmp_path: Path, endpoint: str) -> None:
    """Options or ini name the endpoint for all tests; a test that names another one has that one whole."""
    (tmp_path / "test_it.py").write_text(
        MEASURED.replace('target="sim", ', "")
        + "def test_session(result):\n"
        + "    assert {row.model for row in result.summary.rows if row.metric == 'ttft'} == {'sim-mini'}\n"
        + "    assert 'real endpoint 127.0.0.1' in result.summary.headline\n"
        + "def test_other(stream_bench):\n"
        + "    result = stream_bench('text', target='sim', profile='flood', pairs=1, warmup=0)\n"
        + "    assert 'SIMULATED' in result.summary.headline\n"
    )
    ini = f"stream_bench = true\nstream_bench_base_url = {endpoint}\nstream_bench_model = sim-1\n"
    done = session(tmp_path, "--stream-bench-model=sim-mini", ini=ini)
    assert outcomes(done.stdout) == {"passed": 2}, done.stdout


@pytest.mark.paced
@pytest.mark.slow
def test_what_bench_refuses_is_the_line_of_the_failure(tmp_path: Path) -> None:
    """A wrong option or scenario, no ok trial, a failed condition: each ends in its line, with the run folder."""
    calls = ["'texd', target='sim'", "target='sim', pears=3", "target='sim', fault='429=1', pairs=1, max_retries=0"]
    calls.append("'text', target='sim', pairs=6, fail_on='ttft > 0.001ms'")
    tests = [
        f"def test_{number}(stream_bench):\n    stream_bench({call}, profile='flood', warmup=0)\n"
        for number, call in enumerate(calls)
    ]
    (tmp_path / "test_it.py").write_text(
        "\n".join([*tests, "def test_out(stream_bench):\n    stream_bench(out='x')\n"])
    )
    done = session(tmp_path, "--stream-bench", "--stream-bench-out=kept")
    assert outcomes(done.stdout) == {"failed": 5}, done.stdout
    for line in (
        r"^bench: .*texd.*'text'.* \(exit code 2\)$",
        r"No such option '--pears'.*\(exit code 2\)$",
        r"^bench: no trial was ok .* \(exit code 4\)$",
        r"^stream_bench gives out itself",
        r"^(FAIL|UNDECIDED) +ttft > 0.001ms .*\nthe gate did not pass \(exit code [14]\)$",
    ):
        assert re.search(line, done.stdout, re.MULTILINE), line
    assert not re.search(r"^INTERNALERROR|^bench/", done.stdout, re.MULTILINE)
