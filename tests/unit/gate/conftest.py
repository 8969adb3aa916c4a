"""A run of two scenarios, and no GitHub."""

from __future__ import annotations

import pytest

from bench.analysis.build import build
from bench.core.results.summary import Summary
from bench.gate import github
from tests.support.synthetic import Truth, make_run


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Of two scenarios."""
    return build(make_run(tmp_path_factory.mktemp("ci") / "run", [Truth(), Truth(scenario="function_call")]))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on GitHub, whoever runs the tests."""
    monkeypatch.delenv(github.SUMMARY, raising=False)
    monkeypatch.delenv(github.ACTIONS, raising=False)
