"""`bench compare`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cloup

from bench.cli.options import config_option, declared_options, runs_option
from bench.plan.options.option import given_values
from bench.reports.output import Output

EPILOG = """\b
Examples:
  bench compare latest~1 latest                          the last run with the one before it
  bench compare before after                             runs by their --name
  bench compare before after --fail-on 'text.ttft:+5%'   exit 1 where the first token comes over 5 % later
  bench compare before monday tuesday --json

\b
Exit codes:
  0 fine   1 a condition failed   2 usage, or not to be compared   4 a condition is undecided
"""


@cloup.command("compare", epilog=EPILOG)
@click.argument("baseline", metavar="BASELINE")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@runs_option
@declared_options(Output, names=["as_json", "open_html", "anonymize", "fail_on", "allow_undecided", "junit"])
@config_option
def command(baseline: str, runs: Sequence[str], out: Path, config_file: Path | None, **options: Any) -> None:
    """Compare stored runs with the first one: what changed, with its interval, worst first.

    A run is a folder, an id (or its beginning), a --name, latest, or latest~1. Cells are matched by what they are;
    a run of a single target (or model) is matched with one of another name. compare.html, compare.md and compare.json
    go to the folder of each run that is compared. To compare two endpoints, better measure both in one run:
    `bench run --target A --target B --baseline-target A`.
    """
    from bench.cli.commands.compare_steps import compare_runs  # noqa: PLC0415  (the help needs no pandas)

    sys.exit(compare_runs([baseline, *runs], out, Output(**given_values(Output, options)), config_file))
