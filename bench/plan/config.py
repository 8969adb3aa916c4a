"""What bench.toml says, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.target import Target


@dataclass(frozen=True)
class Config:
    """What a project's files say."""

    targets: Sequence[Target] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of `bench run` by the option's name without dashes in front: `{"pairs": 72, "max-retries": 0}`."""
    files: Sequence[Path] = ()
    """Where it was read, the strongest first."""
    gate: Mapping[str, Any] = field(default_factory=dict)
    """`fail-on`, a list of conditions that `--fail-on` replaces, and `allow-undecided`."""
