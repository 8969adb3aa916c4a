"""`bench report`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cloup

from bench.cli.options import declared_options, plugin_options, runs_option
from bench.plan.options.option import given_values
from bench.reports.output import Output


@cloup.command("report")
@click.argument("ref", metavar="[RUN]", default="latest")
@runs_option
@declared_options(Output)
@plugin_options
def command(ref: str, out: Path, plugins: Sequence[Path], plugins_dirs: Sequence[Path], **options: Any) -> None:
    """Rebuild the reports of a run from its records and show the table.

    RUN is a folder, a run's id (or its beginning), its --name, latest, or latest~1.
    """
    from bench.cli.present import report  # noqa: PLC0415  (the help needs no pandas)

    sys.exit(report(out, ref, Output(**given_values(Output, options)), plugins, plugins_dirs))
