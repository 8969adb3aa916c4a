"""The pytest plugin: the fixture `stream_bench`, which measures an endpoint so that a test can assert on the result.

Installed, it does nothing until a session is run with `--stream-bench`. It stands beside the package `bench` and
imports nothing of it before a test asks: pytest loads this file in every session, also in that of a project which has
a package `bench` of its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.gate.pytest.fixture import StreamBench

ENDPOINT = ("target", "base_url", "model")
"""What a session may say once for all its tests."""
_HELP = {
    "target": "Target that the tests measure, where they name none: a name of bench.toml.",
    "base_url": "Endpoint that the tests measure, where they name none.",
    "model": "Model that they ask, where they name none.",
}
OFF = "measures an endpoint, which takes time and may cost tokens; run it with --stream-bench"
PARALLEL = (
    "stream_bench measures, and the other workers of pytest-xdist would disturb it; run these tests apart, with -n 0"
)
ANOTHER_BENCH = (
    "stream_bench: another package named bench than streambench's comes first here; run these tests from elsewhere"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--stream-bench`, the endpoint and the folder of its runs; each has an ini value of the same name."""
    group = parser.getgroup("streambench", "streaming benchmarks (fixture stream_bench)")
    switch = "Let tests send requests with the fixture stream_bench. They may cost tokens: nobody is asked."
    group.addoption("--stream-bench", action="store_true", default=None, help=switch)
    parser.addini("stream_bench", switch, type="bool", default=False)
    for name in ENDPOINT:
        group.addoption(f"--stream-bench-{name.replace('_', '-')}", metavar=name.upper(), help=_HELP[name])
        parser.addini(f"stream_bench_{name}", _HELP[name])
    where = "Keep the run folders there. [default: the temporary folder of the session]"
    group.addoption("--stream-bench-out", metavar="DIR", help=where)
    parser.addini("stream_bench_out", where)


@pytest.fixture(scope="session")
def stream_bench(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> StreamBench:
    """Run a scenario and get its result: `stream_bench("text", base_url=…, model=…, pairs=36)`.

    Keyword arguments are the options of `bench run`. Returns a `bench.gate.pytest.result.Result`. Skips unless the
    session was run with `--stream-bench`.
    """
    if not (pytestconfig.getoption("stream_bench") or pytestconfig.getini("stream_bench")):
        pytest.skip(f"stream_bench {OFF}")
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        pytest.fail(PARALLEL, pytrace=False)
    try:
        from bench.gate.pytest.fixture import StreamBench  # noqa: PLC0415  (pytest loads this file in every session)
    except ModuleNotFoundError as error:
        if not "bench.gate.pytest.fixture.".startswith(f"{error.name}."):
            raise
        pytest.fail(ANOTHER_BENCH, pytrace=False)

    out = _option_value(pytestconfig, "out")
    folder = pytestconfig.rootpath / out if out else tmp_path_factory.mktemp("stream_bench")
    endpoint = {name: said for name in ENDPOINT if (said := _option_value(pytestconfig, name))}
    return StreamBench(pytestconfig.rootpath, folder, endpoint)


def _option_value(config: pytest.Config, name: str) -> str:
    """Return the option, else the ini value; "" where neither says anything."""
    return str(config.getoption(f"stream_bench_{name}") or config.getini(f"stream_bench_{name}") or "")
