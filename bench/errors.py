"""The errors a user can cause or meet, and the exit code each ends the command with.

    BenchError        2   usage or configuration: one line, no traceback
    ├── RunInvalid    3   the run measured something else than it says
    └── NotEnough     4   too little data to decide

130 is Ctrl-C: what was measured is written and reported. 141: who read the output left before its end. 70: a fault of
bench itself; not Python's usual 1, which says that a condition failed.
"""

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
