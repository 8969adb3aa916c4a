"""What a plugin author imports."""

from bench.core.plugins.hookspecs import hookimpl
from bench.core.results.summary import Reporter, Summary
from bench.core.scenario import Ask, Scenario
from bench.core.target import Target
from bench.core.trial import Trial

__all__ = ["Ask", "Reporter", "Scenario", "Summary", "Target", "Trial", "hookimpl"]
__version__ = "0.1.0"
