"""Conditions are looked at before anything is sent; those of `bench.toml` hold where none was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.conditions import with_conditions
from bench.cli.config_file import load_config
from bench.core.errors import BenchError
from bench.core.target import Target
from bench.gate.check_early import check_early
from bench.plan.choice import Choice, choose
from bench.plan.config import Config
from bench.plan.settings import Settings
from bench.reports.output import Output

TARGETS = [Target(name=name, base_url=f"http://127.0.0.1:1/{name}/v1", models=("m",)) for name in ("stable", "canary")]


@pytest.fixture(scope="module")
def choice() -> Choice:
    """Two scenarios on two targets."""
    return choose(
        Settings(arguments=("text", "function_call"), targets=("stable", "canary"), config=Config(targets=TARGETS))
    )


def refused(condition: str, choice: Choice, *, delivery: str = "both", **output: str) -> str:
    with pytest.raises(BenchError) as caught:
        check_early([condition], choice, Output(**output), delivery=delivery)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("txt.ttft > 1s", "unknown scenario 'txt': did you mean 'text'? (of this run)"),
        ("recovery.ttft > 1s", "unknown scenario 'recovery'"),
        ("text.ttft.p42 > 1s", "unknown statistic 'p42'"),
        ("ttft.p9 > 1s", "unknown statistic 'p9': did you mean 'p99'?"),
        ("failures.timeot > 1", "unknown failure class 'timeot': did you mean 'timeout'?"),
        ("ttft@canry > 1s", "unknown target 'canry': did you mean 'canary'? (of this run)"),
        ("ttft/blocking > 1s", "ttft is not of /blocking; it is of streamed"),
        ("gain/streamed < 1s", "gain is not of /streamed; it is of paired"),
        ("ttft > 3%", "column 8: unit '%' does not fit ttft; its limits have us, ms or s"),
        ("text.tokens_per_s < 5ms", "unit 'ms' does not fit tokens_per_s; its limits have tok/s"),
        ("ttft:+3%", "against which baseline?"),
    ],
)
def test_refused_before_the_run(condition: str, said: str, choice: Choice) -> None:
    """Names, units and baselines that are known to be wrong are one line with what would be right."""
    assert said in refused(condition, choice)


def test_sides(choice: Choice) -> None:
    """The baseline's own target cannot be held against itself; a delivery that is left out proves nothing."""
    said = refused("ttft@stable:+3%", choice, baseline_target="stable")
    assert "target stable is the baseline itself" in said
    assert "--delivery blocking leaves them out" in refused("ttft > 1s", choice, delivery="blocking")
    assert "--delivery streamed leaves them out" in refused("gain < 1s", choice, delivery="streamed")
    check_early(["ttft@canary:+3%"], choice, Output(baseline_target="stable"))
    check_early(["total/blocking > 1s"], choice, Output(), delivery="blocking")


def test_what_may_yet_be_recorded(choice: Choice, capsys: pytest.CaptureFixture[str]) -> None:
    """A metric that bench does not know may be a plugin's: it is told with the nearest name and not refused."""
    check_early(["text.mark.searched > 1s", "failures:+1pp", "gain < 20%", "memory_slope.rss > 40B"], choice, BASE)
    assert capsys.readouterr().err == ""
    check_early(["text.tffu > 1s"], choice, Output())
    assert "'text.tffu > 1s': no metric of bench; looked for" in capsys.readouterr().err


BASE = Output(baseline="latest~1")


def config(folder: Path, text: str) -> Config:
    (folder / "bench.toml").write_text(text)
    return load_config(folder, folder / "bench.toml", {})


def test_what_is_typed_replaces_the_file(tmp_path: Path) -> None:
    """The file's conditions hold where none was typed; one that was typed replaces them all, `none` by nothing."""
    made = config(tmp_path, '[gate]\nfail-on = ["ttft > 1s", "failures > 1%"]\nallow-undecided = true\n')
    assert with_conditions(Output(), made) == Output(fail_on=("ttft > 1s", "failures > 1%"), allow_undecided=True)
    assert with_conditions(Output(fail_on=("total > 2s",)), made).fail_on == ("total > 2s",)
    assert with_conditions(Output(fail_on=("none",)), made).fail_on == ()
    assert with_conditions(Output(), Config()) == Output()
    one = config(tmp_path, '[gate]\nfail-on = "ttft > 1s"\n')
    assert with_conditions(Output(), one) == Output(fail_on=("ttft > 1s",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('fail-on = ["ttft:10%"]', "[gate] fail-on: 'ttft:10%', column 6: a sign is missing"),
        ("fail-on = [3]", "[gate] fail-on: expected text"),
        ('allow-undecided = "yes"', "[gate]: allow-undecided must be true or false"),
        ('fail_on = ["ttft > 1s"]', "[gate]: unknown key 'fail_on': did you mean 'fail-on'?"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, said: str) -> None:
    """A mistake in the file is a line that names the file and the table."""
    with pytest.raises(BenchError) as caught:
        config(tmp_path, f"[gate]\n{text}\n")
    assert str(caught.value).startswith(f"{tmp_path / 'bench.toml'}: {said}")


def test_typed_conditions_are_read_first(tmp_path: Path) -> None:
    """A text that is no condition, and a JUnit file without a condition, are refused at once."""
    with pytest.raises(BenchError, match="column 6: a sign is missing"):
        with_conditions(Output(fail_on=("ttft:10%",)), Config())
    with pytest.raises(BenchError, match="--junit has no condition to write down"):
        with_conditions(Output(junit=tmp_path / "junit.xml"), Config())
