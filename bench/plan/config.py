"""The contents of bench.toml as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.target import Target


@dataclass(frozen=True)
class Config:
    """Targets, defaults and conditions of a project's files."""

    targets: Sequence[Target] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of `bench run` by field of `Settings`: `{"pairs": 72, "retries": 0}`."""
    files: Sequence[Path] = ()
    """Where it was read, the strongest first."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """`fail-on`, a list of conditions that `--fail-on` replaces, and `allow-undecided`."""
