"""Check the endpoints before a run; start the simulator if a target needs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core.messages import say
from bench.core.scenario import Api
from bench.core.target import Target, expanded_headers, key_for, secrets_of
from bench.plan.choice import Choice
from bench.plan.settings import Settings, calibrates
from bench.records.redact import Redactor
from bench.run.preflight.preflight import PreflightResult, preflight
from bench.simulator.process import running


@dataclass(frozen=True, kw_only=True)
class CheckedTarget:
    """A target with its address and what preflight found there."""

    target: Target
    key: str
    headers: Mapping[str, str]
    checked: PreflightResult


@contextmanager
def simulator_for(choice: Choice, settings: Settings, truth: Path) -> Iterator[Choice]:
    """Start the simulator if a target is `sim` or the run calibrates itself. Yield the choice with its address.

    The simulator logs its send times to `truth`, which is complete when the block has been left.
    """
    if not (calibrates(settings) or any(target.simulated for target, _ in choice.targets)):
        yield choice
        return
    with running(profile=settings.profile, truth=truth, script=settings.script) as simulator:
        targets = [
            (replace(target, base_url=simulator.base_url) if target.simulated else target, model)
            for target, model in choice.targets
        ]
        yield replace(choice, targets=targets, simulator=simulator.base_url)


def check_endpoints(choice: Choice) -> dict[str, CheckedTarget]:
    """Check every target once. Print the notices and return the checked targets by name."""
    wanted: dict[str, tuple[Target, list[str]]] = {}
    for target, model in choice.targets:
        models = wanted.setdefault(target.name, (target, []))[1]
        models += [model] if model else []
    return asyncio.run(_check_all(wanted, {scenario.api for scenario in choice.scenarios}))


async def _check_all(wanted: Mapping[str, tuple[Target, list[str]]], apis: set[Api]) -> dict[str, CheckedTarget]:
    found = {}
    for name, (target, models) in wanted.items():
        key, headers = key_for(target, os.environ), expanded_headers(target, os.environ)
        checked = await preflight(target, models, apis, key=key, headers=headers)
        for notice in checked.notices:
            say(notice)
        found[name] = CheckedTarget(target=target, key=key, headers=headers, checked=checked)
    return found


def without_missing(choice: Choice, endpoints: Mapping[str, CheckedTarget]) -> Choice:
    """Return the choice with every API that preflight did not find added to `lacks` of its target."""
    missing = {name: sorted(endpoint.checked.missing) for name, endpoint in endpoints.items()}
    targets = [
        (replace(target, lacks=[*target.lacks, *missing[target.name]]), model) for target, model in choice.targets
    ]
    return replace(choice, targets=targets)


def redactor(choice: Choice) -> Redactor:
    """Return a function that hides every secret of every target in a text."""
    return Redactor(secret for target, _ in choice.targets for secret in secrets_of(target, os.environ))


def notices_of(endpoints: Mapping[str, CheckedTarget]) -> list[str]:
    return [notice for endpoint in endpoints.values() for notice in endpoint.checked.notices]
