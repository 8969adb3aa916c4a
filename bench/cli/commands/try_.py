"""`bench try`."""

from __future__ import annotations

from typing import Any

import click
import cloup

from bench.cli.options import config_option, confirm, declared_options
from bench.cli.settings import settings_from
from bench.plan.options.option import options_of
from bench.plan.settings import Settings


@cloup.command("try")
@click.argument("argument", metavar="SCENARIO|FILE.py")
@declared_options(Settings, names=[name for name, option in options_of(Settings).items() if option.in_try])
@config_option
def command(argument: str, **options: Any) -> None:
    """Run one streamed and one blocking trial, and show each piece with its time as it comes.

    Nothing is written. On the simulator and on this machine a pair goes before it to warm up, which is not shown.
    """
    settings = settings_from({**options, "arguments": (argument,)})
    from bench.testing.plugin.try_out import try_out  # noqa: PLC0415  (the help and wrong options need no SDK)

    try_out(settings, confirm=confirm)
