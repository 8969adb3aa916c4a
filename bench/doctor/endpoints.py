"""Choose the endpoints that the doctor asks, and ask for the user's consent; nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.clients.wire.errors import check_direct
from bench.core.errors import BenchError
from bench.core.plugins.loader import load
from bench.core.target import FREE, Target, is_sensitive
from bench.core.text.terminal import say
from bench.doctor.requests import PROMPT
from bench.doctor.settings import DoctorSettings
from bench.plan.consent import require_consent
from bench.plan.cost.estimate import Part, estimate
from bench.plan.targets import resolve_targets

PING_TOKENS = 16
"""Output tokens of preflight's one small request for each API."""
NO_ENDPOINT = (
    "which endpoint? for instance\n"
    "  bench doctor --base-url http://127.0.0.1:8000/v1 --model my-model\n"
    "  bench doctor --target openai --model gpt-4o-mini"
)


@dataclass(frozen=True)
class DoctorEndpoint:
    """One endpoint, before anything was sent."""

    target: Target
    model: str | None
    name: str
    simulated: bool
    """True where the endpoint leads to the simulator."""


def choose(settings: DoctorSettings) -> list[DoctorEndpoint]:
    """Resolve the options to endpoints, in their order. Raises `BenchError` for options that contradict each other."""
    given = [name for name in ("targets", "base_urls", "sim_behind") if getattr(settings, name)]
    if not given:
        raise BenchError(NO_ENDPOINT)
    if len(given) > 1:
        raise BenchError("--target, --base-url and --sim-behind: use one of them (each may be given several times)")
    urls = settings.base_urls or settings.sim_behind
    places = [url.strip().rstrip("/") for url in urls] or list(settings.targets)
    if len(places) != len(set(places)):
        raise BenchError(f"{max(places, key=places.count)} is given twice; name two endpoints, or one")
    secret = next(filter(is_sensitive, settings.headers), None)
    if secret and len(places) > 1:  # no secret goes to several endpoints by accident, as no key does
        raise BenchError(
            f"-H {secret} would go to {len(places)} endpoints: say headers for each target in bench.toml, and name "
            "them with --target"
        )
    models = _one_each(settings.models, places, "--model")
    keys = _one_each(settings.api_key_envs, places, "--api-key-env", shared=len(places) == 1)
    plugin_targets = load((), ()).plugin_targets() if settings.targets else ()
    found = []
    for place, model, key in zip(places, models, keys, strict=True):
        resolved = resolve_targets(
            settings.config,
            plugin_targets,
            target_names=() if urls else (place,),
            base_url=place if urls else None,
            models=[model] if model else [],
            api_key_env=key,
            headers=settings.headers,
            extra_body=settings.extra_body,
            environ=os.environ,
        )
        for line in resolved.notices:
            say(line)
        target, of_target = resolved.choices[0]
        if len(resolved.choices) > 1:
            say(f"target {target.name} has several models; {of_target} is examined (--model NAME for another)")
        if not target.simulated:
            _check_direct(target.base_url or "")
        own = of_target or ("sim-1" if settings.sim_behind else None)
        found.append(DoctorEndpoint(target, own, target.name, bool(settings.sim_behind) or target.simulated))
    return _with_unique_names(found)


def _one_each(values: Sequence[str], places: Sequence[str], option: str, *, shared: bool = True) -> list[str | None]:
    """Return one value for each endpoint: the same for all where it may be `shared`, else in the order given."""
    if not values:
        return [None] * len(places)
    if len(values) == 1 and shared:
        return [values[0]] * len(places)
    if len(values) != len(places):
        once = "once, or " if shared or len(places) == 1 else ""
        raise BenchError(f"{option}: give it {once}once for each endpoint, in the same order")
    return [*values]


def _with_unique_names(chosen: Sequence[DoctorEndpoint]) -> list[DoctorEndpoint]:
    """Name endpoints of one host by their whole addresses."""
    names = [one.name for one in chosen]
    return [replace(one, name=one.target.base_url or one.name) if names.count(one.name) > 1 else one for one in chosen]


def _check_direct(base_url: str) -> None:
    try:
        check_direct(base_url)
    except BenchError as error:
        raise BenchError(
            f"a proxy of the environment stands before {base_url}, and the doctor reads the socket itself: "
            "add the host to NO_PROXY"
        ) from error


def announce(chosen: Sequence[DoctorEndpoint], settings: DoctorSettings) -> None:
    """Say how many requests there will be, and of about how many tokens."""
    for one in chosen:
        price = FREE if one.target.free else one.target.price
        parts = [Part(1, len(PROMPT) + 60, request.tokens, price) for request in settings.questions]
        pings = Part(len(settings.apis), 4, PING_TOKENS, price)
        say(estimate([*parts, pings]).line(f"{one.target.host}, {one.model or 'its only model'}"))


def ask_before_spending(
    chosen: Sequence[DoctorEndpoint], settings: DoctorSettings, confirm: Callable[[str], bool]
) -> None:
    """Ask for consent where the requests may cost something. Raises `BenchError` on a no."""
    if not all(one.target.free for one in chosen):
        require_consent(confirm, agreed=settings.yes)
