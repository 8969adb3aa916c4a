"""`bench check`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.options import plugin_options


@click.command("check")
@click.argument("argument", metavar="FILE.py|SCENARIO")
@click.option(
    "-P", "--param", "params", multiple=True, metavar="NAME.KEY=A,B", help="Check it with these parameters. Repeatable."
)
@plugin_options
def command(argument: str, params: Sequence[str], plugins: Sequence[Path], plugins_dirs: Sequence[Path]) -> None:
    """Is this plugin sound? Tries its scenarios on the simulator, and says what to do; exit 1 when one fails.

    More than one piece, the first before the end, both deliveries the same result, garbage is rejected, leaving early
    frees the connection, cancelling works, and nothing is requested outside of the functions.
    """
    from bench.testing.plugin.check import check_named  # noqa: PLC0415  (the help needs no SDK)

    failed = False
    for finding in check_named(argument, params, plugins, plugins_dirs):
        click.echo(str(finding))
        failed |= finding.verdict == "FAIL"
    sys.exit(int(failed))
