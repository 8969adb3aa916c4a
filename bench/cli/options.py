"""Make click options of the declarations in `Settings` and `Output`, and the few options that have no field there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
import cloup
from click.shell_completion import CompletionItem

from bench.core.errors import BenchError
from bench.plan.options.kinds import PATH, TOGGLE, Kind
from bench.plan.options.option import Option, options_of
from bench.plan.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


class OptionType(click.ParamType[Any]):
    """Any kind of value: its errors become click's."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.name = kind, kind.metavar.lower()

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002
        """Return how the help shows the value."""
        return self.kind.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value. UsageError where it is wrong."""
        try:
            return self.kind.convert(value)
        except BenchError as error:
            self.fail(str(error), param, ctx)

    def split_envvar_value(self, rv: str) -> list[str]:
        """Split the value of an environment variable; paths as the PATH of the system is."""
        return rv.split(os.pathsep if self.kind is PATH else None)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Complete words and paths."""
        if self.kind is PATH:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(word) for word in self.kind.words if word.startswith(incomplete)]


def declared_options(
    *owners: type, names: Collection[str] | None = None, grouped: bool = True
) -> Callable[[Command], Command]:
    """Add the options of these dataclasses to a command, or those with these names, below their groups' headings."""
    groups: dict[str, cloup.OptionGroup] = {}

    def group_of(option: Option) -> cloup.OptionGroup | None:
        return groups.setdefault(option.group, cloup.OptionGroup(option.group)) if grouped and option.group else None

    return add_options(
        click_option(name, option, group_of(option))
        for owner in owners
        for name, option in options_of(owner).items()
        if names is None or name in names
    )


def click_option(name: str, option: Option, group: cloup.OptionGroup | None = None) -> click.Option:
    """Make the click option of a declaration. What is not given is None, or () where it may be repeated."""
    toggle, bounds = option.kind is TOGGLE, option.kind.bounds
    return cloup.Option(
        [*option.flags, name],
        type=None if toggle else OptionType(option.kind),
        is_flag=toggle,
        default=None,
        multiple=option.repeat,
        metavar=option.metavar,
        envvar=option.env,
        help=f"{option.help}  [{bounds}]" if bounds else option.help,
        group=group,
    )


def add_options(options: Iterable[click.Option]) -> Callable[[Command], Command]:
    """Add these options to a command, in this order."""
    made = list(options)

    def decorate(function: Command) -> Command:
        function.__dict__.setdefault("__click_params__", []).extend(reversed(made))  # as click's own decorators do
        return function

    return decorate


plugin_options = declared_options(Settings, names=["plugins", "plugins_dirs"])
"""For every command that loads plugins."""
runs_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    metavar="DIR",
    help="Where runs are. [default: reports]",
)
"""For commands that look for stored runs."""
config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use this bench.toml. [default: the nearest one above the current folder]",
)
"""For commands that read the project's file."""


def confirm(question: str) -> bool:
    """Ask on the terminal. BenchError where nobody can answer."""
    if not sys.stdin.isatty():
        raise BenchError("this would spend tokens and nobody can be asked; add --yes, or look first with --dry-run")
    return click.confirm(question, err=True)
