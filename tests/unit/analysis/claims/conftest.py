"""Runs that the tests of several claims read."""

from __future__ import annotations

import pytest

from tests.support.claims import Run, run_of
from tests.support.synthetic import Truth


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """36 pairs without noise: first useful after 118 ms, then 5 ms a token."""
    return run_of(tmp_path_factory.mktemp("plain"), Truth(useful_ms=118, noise=0))
