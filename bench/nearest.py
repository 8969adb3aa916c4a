"""The name a user probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from bench.errors import BenchError

_FEW = 8


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> BenchError:
    """The error for a name that is not among the known ones.

    It says the nearest name; where none is near, all names if they are few. `hint` says where to see them all.
    """
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1)
    return BenchError(f"unknown {kind} {name!r}: {_advice(near, names)}{f' ({hint})' if hint else ''}")


def _advice(near: list[str], names: list[str]) -> str:
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there are none"
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"known: {', '.join(names[:_FEW])}{more}"
