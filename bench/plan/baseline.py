"""Check the target or model that the others of a run are compared with, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from bench.core.errors import BenchError, unknown

Baseline = Mapping[str, str | None]
"""`target` and `model` as named by `--baseline-target` and `--baseline-model`; a missing one is not chosen by."""


class HasNames(Protocol):
    """A cell of the plan, or the key of a cell."""

    @property
    def target(self) -> str:
        """Its endpoint."""

    @property
    def model(self) -> str:
        """Its model."""


def check_named(baseline: Baseline | None, keys: Iterable[HasNames], *, open_model: str = "") -> None:
    """Raise BenchError where the named target or model is not among those of these cells, or is all there is.

    `open_model`: what stands for a model that the endpoint has yet to say; then nothing is wrong with a name so far.
    """
    cells = list(keys)
    for field, name in (baseline or {}).items():
        names = {getattr(cell, field) for cell in cells}
        if name is None or open_model in names:
            continue
        if name not in names:
            raise BenchError(f"--baseline-{field}: {unknown(field, name, names)} (of this run)")
        if len(names) == 1:
            raise BenchError(
                f"--baseline-{field} {name}: there is no other {field} to compare with it; "
                f"name more, as in --{field} {name} --{field} OTHER"
            )
