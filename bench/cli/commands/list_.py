"""`bench list`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli.config_file import load_config
from bench.cli.options import config_option, plugin_options
from bench.core.params import field_defaults
from bench.core.plugins.loader import Registry, load
from bench.plan.targets import known_targets

if TYPE_CHECKING:
    from bench.core.results.summary import Reporter
    from bench.core.scenario import Scenario


@click.command("list")
@plugin_options
@config_option
def command(plugins: Sequence[Path], plugins_dirs: Sequence[Path], config_file: Path | None) -> None:
    """Show scenarios, targets and reporters, and the plugin each comes from."""
    registry = load(plugins, plugins_dirs)
    config = load_config(Path.cwd(), config_file, os.environ)
    targets = known_targets(config, registry.plugin_targets())
    sections = {
        "Scenarios": _scenarios(registry),
        "Targets": [
            (name, f"{target.base_url or 'started when needed'}", target.source) for name, target in targets.items()
        ],
        "Reporters": [
            (name, _destination(reporter), found.source) for name, (reporter, found) in registry.reporters.items()
        ],
    }
    click.echo("\n\n".join(f"{title}\n{_table(rows)}" for title, rows in sections.items()))


def _destination(reporter: Reporter) -> str:
    """Return the file of a reporter, and when it is written."""
    if reporter.filename is None:
        return "to the terminal" if reporter.name == "terminal" else f"--export {reporter.name}=FILE"
    return f"{reporter.filename}, {'always' if reporter.always else f'with --export {reporter.name}'}"


def _scenarios(registry: Registry) -> list[tuple[str, str, str]]:
    """Return two lines for each scenario: its description, then its facts and where it is from."""
    rows = []
    for name, (scenario, found) in registry.scenarios.items():
        rows += [(name, scenario.description, ""), ("", "; ".join([*_facts(scenario), found.source]), "")]
    return rows


def _facts(scenario: Scenario) -> Iterator[str]:
    """Yield a scenario's API, tags and needs, and its parameters with their defaults."""
    yield f"api {scenario.api}"
    if scenario.tags:
        yield f"tags {', '.join(scenario.tags)}"
    if scenario.needs:
        yield f"needs {', '.join(scenario.needs)}"
    if scenario.blocking is None:
        yield "no blocking counterpart"
    if scenario.params:
        values = field_defaults(scenario.params).items()
        yield "params " + ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values)


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows)
