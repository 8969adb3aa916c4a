"""`bench calibrate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from bench.cli.options import OptionType
from bench.plan.options.kinds import LEVELS

EPILOG = """\b
Examples:
  bench calibrate                            1, 8 and 32 trials at a time
  bench calibrate --concurrency 4            the load that you want to run with
  bench calibrate --trials 400               enough for every p99
  bench calibrate --client wire --concurrency 1,32,128
"""


@click.command("calibrate", epilog=EPILOG)
@click.option(
    "--concurrency",
    "levels",
    default="1,8,32",
    type=OptionType(LEVELS),
    metavar="N,N,…",
    help="Trials at a time: a column for each. [default: 1,8,32]",
)
@click.option(
    "--trials",
    default=100,
    type=click.IntRange(min=6),
    metavar="N",
    help="Streamed trials at each, and as many blocking ones; a p99 needs 368. [default: 100]",
)
@click.option("--client", type=click.Choice(["sdk", "wire"]), default="sdk", help="Which reader. [default: sdk]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def command(levels: Sequence[int], trials: int, client: str, *, as_json: bool) -> None:
    """Show what this instrument itself adds on this machine, and how many streams at a time it can follow.

    The client reads streams whose send times are known, because the simulator stamps each event as it sends it,
    on the same clock. The difference is the instrument's floor: it stands beside results and is never subtracted. A
    difference below three floors is below what the instrument resolves. Every `bench run` of 10 pairs or more does a
    short form of this in between, at its own load. Nothing is written; takes about half a minute.
    """
    from bench.testing.calibrate.command import calibrate  # noqa: PLC0415  (the help needs no SDK)

    sys.exit(calibrate(levels, trials, client=client, json=as_json))
