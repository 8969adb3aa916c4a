"""The clock of a deferred trial, where its scenario does not do what most do."""

from __future__ import annotations

from bench.clients.wire.stream import Replay
from bench.core.trial import Trial


def test_a_trial_without_a_request_was_to_begin_when_it_was_due() -> None:
    """A trial handed over ahead of its time that fails before its request has its own time all the same."""
    trial = Trial(1, "text", "streamed", "sim", "sim-1", "measure", deferred=True, due=5, t_intend=10**18)
    replay = Replay(trial)
    trial.clock = replay.now
    trial.pieces.append((trial.now(), "early"))
    trial.error, trial.t_end = ValueError("before its request"), trial.now()
    trial.t_origin = trial.t_end
    replay.settle()
    assert (trial.t_origin, trial.t_end, trial.pieces) == (10**18, 10**18, [(10**18, "early")])
