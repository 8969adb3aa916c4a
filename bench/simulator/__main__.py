"""`python -m bench.simulator`: one line of JSON on stdout when it listens, then it serves until it is ended."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.core.errors import BenchError
from bench.simulator.server import serve
from bench.simulator.timing.profiles import DEFAULT_PROFILE


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: 0, any free one)")
    parser.add_argument("--nonce", help="what /bench/identity answers with (default: a random one)")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="timing of requests that name none")
    parser.add_argument("--seed", type=int, default=0, help="seed of answers and jitter (default: 0)")
    parser.add_argument("--truth", type=Path, help="file that gets the true send times, one JSON line per response")
    parser.add_argument("--fault", dest="faults", action="append", default=[], help="KIND[:VALUE]=PROBABILITY")
    parser.add_argument("--script", type=Path, help="file that says what the answers are")
    parser.add_argument("--conformance", action="store_true", help="serve the streams of the conformance set too")
    parser.add_argument("--keep", type=int, default=0, help="responses whose send times /bench/sent tells (default: 0)")
    parser.add_argument("--watch-stdin", action="store_true", help="end when stdin ends")
    return parser.parse_args()


def main() -> int:
    """Serve; the exit code is 2 when that is not possible as asked."""
    try:
        serve(**vars(_arguments()))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  (this is the program's own stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
