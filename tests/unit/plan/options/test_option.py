"""What follows from the declaration of an option."""

from __future__ import annotations

from bench.core.slo import parse_slo
from bench.plan.cost.budget import parse_budget
from bench.plan.options.option import options_of, stored_values, toml_options, worker_values
from bench.plan.settings import Settings
from bench.reports.output import Output


def test_what_plan_json_keeps() -> None:
    """The values in effect, as JSON has them: limits as text, times in seconds."""
    settings = Settings(slos=[parse_slo("TTFT = 500 ms")], clients=("sdk", "wire"), deadline=60.0, rates=(5.0,))
    assert stored_values(settings, "plan_key") == {
        "clients": ["sdk", "wire"],
        "deadline_s": 60.0,
        "delivery": "both",
        "duration_s": None,
        "events": 1.0,
        "max_in_flight": 500,
        "max_retries": 0,
        "memory": True,
        "slos": ["ttft=500ms"],
        "workers": 1,
    }


def test_what_the_manifest_keeps() -> None:
    """Budgets as they were typed."""
    assert stored_values(Settings(budgets=[parse_budget("200k-tokens")]), "manifest_key") == {
        "budgets": ["200k-tokens"],
        "deadline_s": 120.0,
        "max_retries": 2,
        "precision": None,
        "store_text": False,
    }


def test_what_a_worker_gets() -> None:
    """Enough for its settings; the retries that are in effect, not those that were typed."""
    values = worker_values(Settings(clients=("wire",), deadline=7.0))
    assert set(values) == {
        "output_tokens",
        "clients",
        "deadline",
        "profile",
        "faults",
        "max_in_flight",
        "events",
        "store_text",
        "retries",
    }
    assert (Settings(**values).max_retries, Settings(**values).deadline) == (0, 7.0)


def test_what_may_stand_in_bench_toml() -> None:
    """Neither a target nor what is about a single run may."""
    assert {key: name for key, (name, _) in toml_options(Settings).items() if key.replace("-", "_") != name} == {
        "max-retries": "retries",
        "budget": "budgets",
        "client": "clients",
        "rate": "rates",
        "slo": "slos",
        "plugins-dir": "plugins_dirs",
    }
    assert not {"target", "base-url", "out", "name", "yes", "store-text"} & set(toml_options(Settings))
    assert toml_options(Output) == {}


def test_flags_are_there_once() -> None:
    """No two options of `bench run` have a flag in common."""
    flags = [flag for owner in (Settings, Output) for option in options_of(owner).values() for flag in option.flags]
    assert len(flags) == len(set(flags))
