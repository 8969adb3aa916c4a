"""What `bench list` prints."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.config import known_targets
from bench.configfile import load_config
from bench.manager import Registry, load


def listing(plugins: Sequence[Path], folders: Sequence[Path], config_file: Path | None) -> str:
    """Scenarios, targets and reporters, each with the plugin it comes from."""
    registry = load(plugins, folders)
    config = load_config(Path.cwd(), config_file, os.environ)
    targets = known_targets(config, registry.plugin_targets())
    sections = {
        "Scenarios": _scenarios(registry),
        "Targets": [
            (name, f"{target.base_url or 'started when needed'}", target.source) for name, target in targets.items()
        ],
        "Reporters": [
            (name, reporter.filename or "to the terminal", found.source)
            for name, (reporter, found) in registry.reporters.items()
        ],
    }
    return "\n\n".join(f"{title}\n{_table(rows)}" for title, rows in sections.items())


def _scenarios(registry: Registry) -> list[tuple[str, str, str]]:
    rows = []
    for name, (scenario, found) in registry.scenarios.items():
        tags = f" [{', '.join(scenario.tags)}]" if scenario.tags else ""
        needs = f" (needs {', '.join(scenario.needs)})" if scenario.needs else ""
        rows.append((name, f"{scenario.description}{tags}{needs}", found.source))
    return rows


def _table(rows: Sequence[tuple[str, str, str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"  {a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows)
