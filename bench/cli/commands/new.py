"""`bench new`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new")
@click.argument("name")
@click.option("--package", is_flag=True, help="Make a folder NAME with a pyproject.toml as well: a plugin to publish.")
def command(name: str, package: bool) -> None:
    """Write NAME.py and test_NAME.py here: a plugin that works, and its test. Nothing is overwritten."""
    from bench.testing.plugin.new import write_new  # noqa: PLC0415  (the package beside it imports the SDK)

    click.echo(write_new(name, Path.cwd(), package=package))
