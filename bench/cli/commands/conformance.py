"""`bench conformance`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

EPILOG = """\b
Exit codes:
  0 all right   1 something is wrong   4 inconclusive: the machine is too busy
"""


@click.command("conformance", epilog=EPILOG)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--repeat",
    default=5,
    type=click.IntRange(1, 100),
    metavar="N",
    help="Times each stream is measured; the median counts. [default: 5]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def command(names: Sequence[str], repeat: int, *, as_json: bool) -> None:
    """Hold this instrument against streams of known truth, and show truth beside reading.

    All streams, or the named ones: responses/text, text (in both APIs), 'usage_*'. They are served by the simulator
    and measured as every run is. docs/conformance.md lists them.
    """
    from bench.testing.conformance.command import conformance  # noqa: PLC0415  (the help needs no SDK)

    sys.exit(conformance(names, repeat, json=as_json))
