"""How a trial of a scenario with a stack of its own ended. Pure.

Nothing is seen of its wire: an exception is all that tells a failure, and what kind it is.
"""

from __future__ import annotations

import openai

from bench.outcome import Outcome, from_foreign, judge
from bench.trial import Trial


def judge_own(trial: Trial) -> Outcome:
    """The outcome of such a trial, `check` not yet asked: ok unless something was raised."""
    error = trial.error
    if error is None or isinstance(error, openai.OpenAIError):
        return judge(trial, ())
    return from_foreign(error, streaming=bool(trial.pieces)) or judge(trial, ())
