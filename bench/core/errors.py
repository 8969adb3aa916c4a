"""The errors a user can cause or meet, and the exit code each ends the command with.

    BenchError        2   usage or configuration: one line, no traceback
    ├── RunInvalid    3   the run measured something else than it says
    └── NotEnough     4   too little data to decide

130 is Ctrl-C: what was measured is written and reported. 141: who read the output left before its end. 70: a fault of
bench itself; not Python's usual 1, which says that a condition failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

EXIT_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""Nobody read the output to its end, and nothing was left to decide: what a shell says of SIGPIPE."""


class BenchError(Exception):
    """A line for the user: what is wrong, where, and what to do."""

    exit_code = 2


class RunInvalid(BenchError):
    """The run may not be believed; the message is the reason."""

    exit_code = 3


class NotEnough(BenchError):
    """The data cannot carry the asked answer."""

    exit_code = 4


_FEW = 8


def unknown(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> BenchError:
    """Make the error for a name that is not among the known ones, with the nearest name, or all if they are few.

    `hint` says where to see them all.
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
