"""The command `bench`: a table of its commands. A command's module is imported when the command is called."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Any

import click

import bench
from bench.core.errors import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_UNREAD, BenchError, unknown
from bench.core.text.terminal import to_devnull

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run", "Run scenarios streamed and blocking, and report the difference."),
    "report": ("report", "Rebuild the reports of a run from its records and show the table."),
    "compare": (
        "compare",
        "Compare stored runs with the first one: what changed, with its interval, worst first.",
    ),
    "doctor": (
        "doctor",
        "Is this endpoint really streaming? If not: what holds it up, and which line to change.",
    ),
    "list": ("list_", "Show scenarios, targets and reporters, and the plugin each comes from."),
    "new": ("new", "Write NAME.py and test_NAME.py here: a plugin that works, and its test."),
    "try": (
        "try_",
        "Run one streamed and one blocking trial, and show each piece with its time as it comes.",
    ),
    "check": ("check", "Is this plugin sound? Tries its scenarios on the simulator, and says what to do."),
    "serve": (
        "serve",
        "Run the simulator: an OpenAI-compatible server (Responses API) with known timing, for any client.",
    ),
    "calibrate": (
        "calibrate",
        "Show what this instrument itself adds on this machine, and how many streams at a time it can follow.",
    ),
    "conformance": (
        "conformance",
        "Hold this instrument against streams of known truth, and show truth beside reading.",
    ),
}
"""By name: the module with its `command`, and the line in `bench --help`."""
EXIT_CODES = """\b
Exit codes:
  0 fine   1 a condition of the gate failed   2 usage or configuration   3 run invalid
  4 not enough data, or a condition is undecided   70 a fault of bench itself
  130 interrupted (what was measured is written and reported)
"""


class Commands(click.Group):
    """The commands of the table. Errors are one line on stderr; an unknown command is named with its nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"bench.cli.commands.{COMMANDS[cmd_name][0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command, and end with the exit code of what went wrong."""
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"bench: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("bench: interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:  # click would say 1, which is what a failed condition says
            to_devnull(sys.stdout)
            ctx.exit(EXIT_UNREAD)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. BenchError with the nearest name where there is none."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS, hint="bench --help shows all")
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(bench.__version__, prog_name="bench")
def cli() -> None:
    """What does streaming buy you? Do the same work streamed and blocking, and see the difference with its error.

    Start with `bench run`: no key, no network, no arguments. It measures the embedded simulator.
    """  # noqa: D401  (the help is for users)


def main() -> None:
    """Run `bench`, `streambench` or `python -m bench`."""
    if isinstance(sys.stdout, TextIOWrapper):  # whatever the locale: reports and verdicts are written in one encoding
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        cli(prog_name="bench")
    except Exception:  # noqa: BLE001  (no user's mistake: those are a line)
        traceback.print_exc()
        click.echo("bench: this is a fault of bench itself; please report it with the lines above", err=True)
        sys.exit(EXIT_FAULT)
