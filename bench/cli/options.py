"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _all(*options: Decorator) -> Decorator:
    """These options, in this order in `--help`."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


plugin_options = _all(
    click.option(
        "--plugin", "plugins", multiple=True, type=click.Path(path_type=Path), help="Load this plugin file. Repeatable."
    ),
    click.option(
        "--plugins-dir",
        "plugins_dirs",
        multiple=True,
        type=click.Path(path_type=Path),
        envvar="BENCH_PLUGINS_DIR",
        help="Load every plugin file of this folder. Repeatable; BENCH_PLUGINS_DIR does the same.",
    ),
)
"""For every command that loads plugins."""
request_options = _all(
    click.option(
        "-H",
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Header for every request; ${VARIABLE} is filled in when it is sent. Repeatable.",
    ),
    click.option("--extra-body", metavar="JSON|@FILE", help="Further fields for the body of every request."),
)
"""What goes with every request."""
runs_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    metavar="DIR",
    help="Where runs are. [default: reports]",
)
"""For commands that look for stored runs."""
page_options = _all(
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table."),
    click.option("--open", "open_html", is_flag=True, help="Show the HTML in the browser."),
    click.option(
        "--anonymize",
        is_flag=True,
        help="Call hosts host-1, host-2, … in all that this command writes and prints; the run's records keep them.",
    ),
)
"""How the result is shown, whatever the command."""
form_options = _all(
    click.option(
        "--export",
        "exports",
        multiple=True,
        metavar="NAME[=FILE]",
        help="Write this report as well, or to this file; - is stdout. `bench list` names them. Repeatable.",
    ),
    page_options,
)
"""The same of a run."""
baseline_options = _all(
    click.option(
        "--baseline", metavar="RUN", help="Compare with this stored run: a folder, an id, a --name, latest~1."
    ),
    click.option(
        "--baseline-target", metavar="NAME", help="Compare the other targets of this run with this one, pair by pair."
    ),
    click.option(
        "--baseline-model", metavar="NAME", help="Compare the other models of this run with this one, pair by pair."
    ),
)
"""What the result is compared with."""
gate_options = _all(
    click.option(
        "--fail-on",
        multiple=True,
        metavar="CONDITION",
        help="Exit 1 where this is so: 'text.ttft:+10%' (against the baseline), 'ttft.p90 > 2s', 'failures > 1%'. "
        "Repeatable. They replace those in [gate] of bench.toml; `none` is no condition.",
    ),
    click.option("--allow-undecided", is_flag=True, help="Let a condition that the data cannot decide pass."),
    click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write the conditions as JUnit XML."),
)
"""The gate."""
