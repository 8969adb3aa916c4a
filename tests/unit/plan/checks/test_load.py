"""The options for load: what they accept, what does not go together, and what `bench.toml` may say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from bench.cli.commands.run import command as run
from bench.cli.commands.try_ import command as try_
from bench.cli.settings import settings_from
from bench.core.errors import BenchError
from bench.core.slo import parse_slo
from bench.plan.choice import choose
from bench.plan.consent import asked_times, describe
from bench.plan.settings import Settings


def settings(*arguments: str) -> Settings:
    """What `bench run ARGUMENTS` would do."""
    return settings_from(run.make_context("run", list(arguments)).params)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--concurrency 1,,2", "'1,,2', column 3: write numbers from 1 on"),
        ("--concurrency 4,x", "'4,x', column 3: write numbers from 1 on"),
        ("--concurrency 8,8", "'8,8', column 3: 8 is given twice"),
        ("--rate 5,fast", "column 3: 'fast' is no rate"),
        ("--rate 5,5", "column 3: the rate 5 is given twice"),
        ("--rate 0", "'0' is no rate"),
        ("--rate 5 --arrivals poison", "did you mean 'poisson'?"),
        ("--rate 5 --duration 10x", "'10x' is no length of time"),
        ("--rate 5 --duration 0", "not in the range"),
        ("--rate 5 --ramp nan", "not"),
        ("--slo ttft", "column 1: no METRIC=LIMIT"),
        ("--slo ttf=1s", "column 1: unknown metric 'ttf'"),
        ("--slo ttft=fast", "column 6: 'fast' is no length of time"),
        ("--events 0", "no share from more than 0 to 100%"),
        ("--input-tokens normal:200", "column 8:"),
        ("--input-tokens 100 --shared-prefix 100%", "no share from 0 to less than 100%"),
        ("--client wier", "did you mean 'wire'?"),
    ],
)
def test_a_value_that_does_not_parse(arguments: str, says: str) -> None:
    """One line with what is wrong and, where the text has parts, the column."""
    with pytest.raises(click.UsageError) as caught:
        settings(*arguments.split())
    assert says in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("--duration 10s", "--duration is for trials under load; add --concurrency 8 or --rate 5"),
        ("--requests 10 --concurrency 1", "--requests is for trials under load"),
        ("--ramp 1s", "--ramp is for trials under load"),
        ("--workers 2", "--workers is for trials under load"),
        ("--rate 5 --duration 10s --requests 10", "give one of them"),
        ("--concurrency 8 --arrivals constant", "--arrivals is for open loop; add --rate 5"),
        ("--concurrency 8 --max-in-flight 9", "--max-in-flight is for open loop"),
        ("--rate 5 --duration 30s --ramp 15s", "--ramp 15 s comes 2 times in each delivery's 30 s"),
        ("--rate 5,50 --requests 100 --ramp 20s", "at rate=5 all 50 trials of a segment would begin within it"),
        ("--slo ttft=1s --slo ttft=2s", "two limits of ttft"),
        ("--shared-prefix 50%", "add --input-tokens 512"),
        ("--rate 5 --workers 2 --budget 1m", "--workers with --precision or --budget"),
        ("--rate 5 --scheduler host", "--scheduler 'host' is no address; write for instance tcp://host:8786"),
    ],
)
def test_options_that_do_not_go_together(arguments: str, says: str) -> None:
    """What would change nothing, or leave nothing to measure, is said instead of done."""
    with pytest.raises(BenchError) as caught:
        settings(*arguments.split())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_loads_are_those_that_were_asked_for() -> None:
    """Closed loops, then open ones; one at a time where no load was asked for."""
    assert [load.label for load in settings().loads] == ["c=1"]
    assert [load.label for load in settings("--rate", "5,0.5").loads] == ["rate=5", "rate=0.5"]
    both = settings("--rate", "5", "--concurrency", "1,8", "--duration", "30s", "--ramp", "5")
    assert [load.label for load in both.loads] == ["c=1", "c=8", "rate=5"]
    assert (both.duration, both.ramp) == (30, 5)


def test_beside_wire_nothing_is_tried_again() -> None:
    """The client wire makes one attempt, so the SDK beside it does too unless it is told otherwise."""
    assert settings("--client", "sdk").max_retries == 2
    assert settings("--client", "sdk,wire").max_retries == 0
    assert settings("--client", "sdk,wire", "--max-retries", "1").max_retries == 1


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `bench.toml` in the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "bench.toml"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('client = "sdk,wire"', "clients", ("sdk", "wire")),
        ("concurrency = 8", "concurrency", (8,)),
        ('concurrency = "1,8"', "concurrency", (1, 8)),
        ('rate = "5,10"', "rates", (5.0, 10.0)),
        ("rate = 2.5", "rates", (2.5,)),
        ('slo = ["ttft=500ms", "itl=50ms"]', "slos", (parse_slo("ttft=500ms"), parse_slo("itl=50ms"))),
        ('slo = "ttft=500ms"', "slos", (parse_slo("ttft=500ms"),)),
        ('events = "1%"', "events", 0.01),
        ("events = 0.5", "events", 0.5),
    ],
)
def test_bench_toml_sets_the_load(toml: Path, line: str, name: str, value: Any) -> None:
    """Each key means what the option means; the command line beats it."""
    toml.write_text(f"[run]\n{line}\n")
    assert getattr(settings(), name) == value
    assert settings("--rate", "3", "--client", "wire").rates == (3.0,)


def test_bench_toml_sets_a_timed_open_loop(toml: Path) -> None:
    """Lengths of time with and without a unit, and the words of the schedule."""
    toml.write_text(
        '[run]\nrate = 5\nduration = "1m"\nramp = 2\narrivals = "constant"\nmax-in-flight = 9\nclient = "wire"\n'
    )
    found = settings()
    assert (found.rates, found.duration, found.ramp) == ((5.0,), 60, 2)
    assert (found.arrivals, found.max_in_flight, found.clients) == ("constant", 9, ("wire",))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('rate = "5,fast"', "bench.toml: [run]: rate: '5,fast', column 3: 'fast' is no rate"),
        ('slo = ["ttft=500ms", "itl=fast"]', "bench.toml: [run]: slo: 'itl=fast', column 5"),
        ('duration = "soon"', "bench.toml: [run]: duration: 'soon' is no length of time"),
    ],
)
def test_mistakes_in_bench_toml(toml: Path, line: str, says: str) -> None:
    """The file, the key and the column."""
    toml.write_text(f"[run]\n{line}\n")
    with pytest.raises(BenchError) as caught:
        settings()
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "--concurrency 1,8 --duration 10s",
            [
                "2 cells × 10 s of each delivery (36 pairs at c=1)",
                "as many trials as fit",
                "lasts 20 s or longer",
                "with answers of 5 s",
            ],
        ),
        (
            "--concurrency 8 --duration 10s --warmup 0 --no-self-check",
            ["1 cell × 10 s of", ", 5 s of text streamed (measure)"],
        ),
        (
            "--rate 5 --requests 50",
            ["1 cell × 50 requests of each delivery, ", "the load lasts", "5 × text streamed (warmup)"],
        ),
    ],
)
def test_a_dry_run_says_what_a_load_takes(arguments: str, says: list[str]) -> None:
    """How much is measured, how long that takes at least, and that a number of requests is a guess where it is one."""
    asked = settings("text", *arguments.split())
    choice = choose(asked)
    text = describe(choice.plan(asked, {}, lambda _: None), choice, asked)
    assert [part for part in says if part not in text] == []
    assert ("a guess" in text) == ("--duration" in arguments)


@pytest.mark.parametrize(
    ("arguments", "seconds", "scheduled"),
    [
        ("--rate 5,20 --duration 10s --ramp 2s", 44, True),
        ("--concurrency 8 --duration 10s", 20, False),
        ("--concurrency 8", 0, False),
    ],
)
def test_how_long_a_plan_takes(arguments: str, seconds: float, scheduled: bool) -> None:
    """By its schedules and times, the warm-up of open loop included; a number of trials takes what it takes."""
    asked = settings("text", "--no-self-check", *arguments.split())
    plan = choose(asked).plan(asked, {}, lambda _: None)
    assert plan.seconds == pytest.approx(seconds, abs=0.5)
    assert plan.open_loop_only is scheduled


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ("", {"rates": (5.0,), "duration": 60, "workers": 2, "arrivals": "constant"}),
        ("--concurrency 8", {"rates": (), "concurrency": (8,), "duration": 60, "arrivals": "poisson"}),
        ("--concurrency 1", {"rates": (), "concurrency": (1,), "duration": None, "workers": 1}),
        ("--requests 20", {"rates": (5.0,), "requests": 20, "duration": None}),
        ("--scheduler tcp://h:1", {"scheduler": "tcp://h:1", "workers": 1}),
    ],
)
def test_what_was_typed_rules_out_defaults_of_bench_toml(toml: Path, arguments: str, kept: dict[str, Any]) -> None:
    """Another kind of load replaces the one of the file, and what of the file then says nothing is left out."""
    toml.write_text('[run]\nrate = 5\nduration = "1m"\nworkers = 2\narrivals = "constant"\n')
    asked = settings(*arguments.split())
    assert {name: getattr(asked, name) for name in kept} == kept


def test_bench_try_takes_no_default_of_a_load(toml: Path) -> None:
    """It is a single pair with the SDK, whatever the file says of clients, loads and precision."""
    toml.write_text('[run]\nclient = "wire"\nrate = 5\nprecision = "5%"\noutput-tokens = 7\n')
    params = try_.make_context("try", ["text"]).params
    argument = params.pop("argument")
    asked = settings_from({**params, "arguments": (argument,)})
    assert (asked.clients, asked.rates, asked.precision, asked.output_tokens) == (("sdk",), (), None, 7)


def test_a_proxy_in_the_way_of_wire_is_said_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight, which would go through it, has not begun."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    target = ("--base-url", "http://llm.example.com/v1", "--model", "m")
    with pytest.raises(BenchError, match="goes through no proxy"):
        choose(settings("text", "--client", "sdk,wire", *target))
    choose(settings("text", "--client", "sdk", *target))


def test_a_budget_makes_segments_small() -> None:
    """A run that may end early must not spend all on one delivery."""
    options = ("--concurrency", "2", "--no-self-check", "--warmup", "0")
    asked = settings("text", *options, "--requests", "180", "--budget", "10k-tokens")
    segments = choose(asked).plan(asked, {}, lambda _: None).segments
    assert {segment.count for segment in segments} == {18}
    assert len({segment.delivery for segment in segments[:2]}) == 2
    asked = settings("text", *options, "--requests", "180")
    assert len(choose(asked).plan(asked, {}, lambda _: None).segments) == 4


def test_no_warmup_is_none_under_load_too() -> None:
    """`--warmup 0` sends nothing before the first measured request."""
    asked = settings("text", "--concurrency", "8", "--warmup", "0", "--pairs", "12")
    assert "warmup" not in choose(asked).plan(asked, {}, lambda _: None).phases


def test_the_requests_of_a_timed_load_are_guessed_by_its_time() -> None:
    """64 at a time for a minute of each delivery are 1,536 requests where each takes 5 s."""
    asked = settings("text", "--concurrency", "64", "--duration", "1m", "--no-self-check", "--warmup", "0")
    plan = choose(asked).plan(asked, {}, lambda _: None)
    assert sum(asked_times(plan).values()) == 2 * 2 * 64 * 6
