"""Check the endpoints before a run; start the simulator if a target needs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core.ask import Options
from bench.core.target import Target, expanded_headers, key_for, secrets_of
from bench.core.text.terminal import say
from bench.plan.choice import Choice
from bench.plan.plan import Plan
from bench.plan.settings import Settings, calibrates, output_tokens
from bench.records.redact import Redactor
from bench.run.preflight.preflight import PreflightResult, preflight
from bench.simulator.process import running


@dataclass(frozen=True, kw_only=True)
class CheckedTarget:
    """A target that preflight has checked, with its secrets."""

    target: Target
    key: str
    headers: Mapping[str, str]
    checked: PreflightResult

    def options(self, settings: Settings) -> Options:
        """Return what every request to this target asks for."""
        faults = {"faults": list(settings.faults)} if settings.faults else {}
        return Options(
            output_tokens=output_tokens(self.target, settings) if self.checked.length else None,
            temperature=self.checked.temperature,
            # faults are asked for in trials only, so preflight never meets one
            control={"profile": settings.profile, **faults} if self.target.simulated else {},
        )


@contextmanager
def checked_plan(
    choice: Choice, settings: Settings, truth: Path
) -> Iterator[tuple[Plan, Choice, dict[str, CheckedTarget]]]:
    """Start the simulator if the run needs it, check every target, and plan the trials.

    Yields the plan, the choice (targets have addresses and lack the APIs that preflight did not find), and the checked
    targets by name. The simulator logs its send times to `truth`, which is complete when the block has been left.
    """
    with _simulator(choice, settings, truth) as addressed:
        endpoints = asyncio.run(_check_targets(addressed))
        targets = [
            (replace(target, lacks=[*target.lacks, *sorted(endpoints[target.name].checked.missing)]), model)
            for target, model in addressed.targets
        ]
        reachable = replace(addressed, targets=targets)
        models = {name: endpoint.checked.models[0] for name, endpoint in endpoints.items()}
        yield reachable.plan(settings, models, lambda _: None), reachable, endpoints


@contextmanager
def _simulator(choice: Choice, settings: Settings, truth: Path) -> Iterator[Choice]:
    """Start the simulator if a target is `sim` or the run calibrates itself. Yield the choice with its address."""
    if not (calibrates(settings) or any(target.simulated for target, _ in choice.targets)):
        yield choice
        return
    with running(profile=settings.profile, truth=truth, script=settings.script) as simulator:
        targets = [
            (replace(target, base_url=simulator.base_url) if target.simulated else target, model)
            for target, model in choice.targets
        ]
        yield replace(choice, targets=targets, simulator=simulator.base_url)


async def _check_targets(choice: Choice) -> dict[str, CheckedTarget]:
    """Check every target once, with all of its models, and print the notices."""
    apis = {scenario.api for scenario in choice.scenarios}
    found: dict[str, CheckedTarget] = {}
    for target, _ in choice.targets:
        if target.name in found:
            continue
        models = [model for other, model in choice.targets if other.name == target.name and model]
        key, headers = key_for(target, os.environ), expanded_headers(target, os.environ)
        checked = await preflight(target, models, apis, key=key, headers=headers)
        for notice in checked.notices:
            say(notice)
        found[target.name] = CheckedTarget(target=target, key=key, headers=headers, checked=checked)
    return found


def redactor(choice: Choice) -> Redactor:
    """Return a function that hides every secret of every target in a text."""
    return Redactor(secret for target, _ in choice.targets for secret in secrets_of(target, os.environ))
