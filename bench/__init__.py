"""What a plugin author imports."""

from bench.hookspecs import hookimpl
from bench.scenario import Ask, Scenario
from bench.summary import Reporter, Summary
from bench.target import Target
from bench.trial import Trial

__all__ = ["Ask", "Reporter", "Scenario", "Summary", "Target", "Trial", "hookimpl"]
__version__ = "0.1.0"
