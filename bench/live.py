"""Which scenarios the client `wire` has to decode while they run. Pure."""

from __future__ import annotations

from bench.params import instance
from bench.scenario import Scenario


def is_live(scenario: Scenario, params: str) -> bool:
    """Does it act while its answer comes: by its own word, by a `setup`, or by another request that follows?"""
    if scenario.live or scenario.setup is not None:
        return True
    asked = scenario.requests
    return (asked(instance(scenario, params)) if callable(asked) else asked) != 1
