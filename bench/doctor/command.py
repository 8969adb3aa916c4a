"""`bench doctor`: what is to be examined, the user's consent, the examination, and what is shown of it."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.choice import FREE
from bench.clients.wire.errors import check_direct
from bench.config import resolve_targets
from bench.configfile import Config
from bench.doctor.asking import APIS, LONGEST, MODES, PROMPT, Asked, Manner, asked
from bench.doctor.diagnosis import Hop, Mode
from bench.doctor.examine import Examined, Patient, examine
from bench.doctor.source import DEFAULT_SIM
from bench.endpoint import expanded_headers, is_sensitive, key_for
from bench.errors import EXIT_INTERRUPTED, BenchError
from bench.estimate import Part, estimate
from bench.manager import load
from bench.preflight import preflight
from bench.progress import progress, say
from bench.redact import Redactor, redact_argv
from bench.scenario import API_NAMES, Api
from bench.simulator.process import running
from bench.target import Target

if TYPE_CHECKING:
    from bench.doctor.diagnosis import Diagnosis

PAGE = Path("doctor.html")
"""Where `--open` writes the page that `--html` does not name."""
WIDEST = 100
PING_TOKENS = 16
"""Of preflight's one small request for each API."""
NO_ENDPOINT = (
    "which endpoint? for instance\n"
    "  bench doctor --base-url http://127.0.0.1:8000/v1 --model my-model\n"
    "  bench doctor --target openai --model gpt-4o-mini"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line said."""

    targets: Sequence[str] = ()
    base_urls: Sequence[str] = ()
    sim_behind: Sequence[str] = ()
    sim: str = DEFAULT_SIM
    models: Sequence[str] = ()
    api_key_envs: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    api: Api | None = None
    modes: Sequence[Mode] = MODES
    output_tokens: int = LONGEST
    deadline: float = 120.0
    seed: int = 0
    yes: bool = False
    dry_run: bool = False
    form: str = "terminal"
    """`terminal`, `json` or `markdown`: what goes to stdout."""
    html: Path | None = None
    open_html: bool = False
    config: Config = field(default_factory=Config)

    @property
    def apis(self) -> Sequence[Api]:
        """To be examined, where the endpoint has them."""
        return (self.api,) if self.api else APIS

    @property
    def requests(self) -> list[Asked]:
        """To each hop. A text is always among them: the others are held against it."""
        modes = [mode for mode in MODES if mode == "text" or mode in self.modes]
        return asked(self.apis, modes, self.output_tokens)


@dataclass(frozen=True)
class Chosen:
    """One endpoint, before anything was sent."""

    target: Target
    model: str | None
    name: str
    simulated: bool
    """It leads to the simulator."""


def doctor(settings: Settings, argv: Sequence[str], *, confirm: Callable[[str], bool]) -> int:
    """The whole command; the exit code."""
    chosen = choose(settings)
    announce(chosen, settings)
    if settings.dry_run:
        return 0
    ask_before_spending(chosen, settings, confirm)
    found, notes, interrupted = Examined(), list[str](), False
    with addressed(chosen) as (reachable, metronome):
        patients, sent = asyncio.run(admit(reachable, settings, notes))
        total = sum(request.api in patient.apis for patient in patients for request in settings.requests)
        with progress(total, "requests") as reporter:
            try:
                asyncio.run(
                    examine(
                        patients,
                        settings.requests,
                        found,
                        metronome_url=metronome,
                        deadline_s=settings.deadline,
                        seed=settings.seed,
                        step=reporter.step,
                        simulator=settings.sim if settings.sim_behind else None,
                    )
                )
            except KeyboardInterrupt:
                interrupted = True
                notes.append(f"Interrupted after {len(found.readings)} of {total} answers: this is what they say.")
    if not found.readings:
        raise KeyboardInterrupt
    from bench.doctor.conclude import conclude  # noqa: PLC0415  (scipy: after the last request)

    again = shlex.join(again_of(redact_argv(argv)))
    diagnosis = conclude(patients, found, again=again, requests=sent, notes=notes)
    show(diagnosis, settings)
    return EXIT_INTERRUPTED if interrupted else diagnosis.exit_code


def again_of(argv: Sequence[str]) -> list[str]:
    """The command line without what is about its page and its question."""
    kept, skips = [], False
    for word in argv:
        if not (skips or word in {"-y", "--yes", "--open", "--html"} or word.startswith("--html=")):
            kept.append(word)
        skips = word == "--html"
    return kept


def choose(settings: Settings) -> list[Chosen]:
    """The endpoints that the options mean, in their order."""
    given = [name for name in ("targets", "base_urls", "sim_behind") if getattr(settings, name)]
    if not given:
        raise BenchError(NO_ENDPOINT)
    if len(given) > 1:
        raise BenchError("--target, --base-url and --sim-behind: use one of them (each may be given several times)")
    urls = settings.base_urls or settings.sim_behind
    places = [url.strip().rstrip("/") for url in urls] or list(settings.targets)
    if len(places) != len(set(places)):
        raise BenchError(f"{max(places, key=places.count)} is given twice; name two endpoints, or one")
    _check_headers(settings, places)
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
        if target.base_url and not target.simulated:
            _check_direct(target.base_url)
        own = of_target or ("sim-1" if settings.sim_behind else None)
        found.append(Chosen(target, own, target.name, bool(settings.sim_behind) or target.simulated))
    return _told_apart(found)


def _check_headers(settings: Settings, places: Sequence[str]) -> None:
    """No secret goes to several endpoints by accident, as no key does."""
    secret = next(filter(is_sensitive, settings.headers), None)
    if secret and len(places) > 1:
        raise BenchError(
            f"-H {secret} would go to {len(places)} endpoints: say headers for each target in bench.toml, and name "
            "them with --target"
        )


def _one_each(values: Sequence[str], places: Sequence[str], option: str, *, shared: bool = True) -> list[str | None]:
    """One value for all, where that may be, or one for each endpoint in its order."""
    if not values:
        return [None] * len(places)
    if len(values) == 1 and shared:
        return [values[0]] * len(places)
    if len(values) != len(places):
        once = "once, or " if shared or len(places) == 1 else ""
        raise BenchError(f"{option}: give it {once}once for each endpoint, in the same order")
    return [*values]


def _told_apart(chosen: Sequence[Chosen]) -> list[Chosen]:
    """Endpoints of one host are called by their whole addresses."""
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


def announce(chosen: Sequence[Chosen], settings: Settings) -> None:
    """Say how many requests there will be, and of about how many tokens."""
    for one in chosen:
        price = FREE if one.target.free else one.target.price
        parts = [Part(1, len(PROMPT) + 60, request.tokens, price) for request in settings.requests]
        pings = Part(len(settings.apis), 4, PING_TOKENS, price)
        say(estimate([*parts, pings]).line(f"{one.target.host}, {one.model or 'its only model'}"))


def ask_before_spending(chosen: Sequence[Chosen], settings: Settings, confirm: Callable[[str], bool]) -> None:
    """Where the requests may cost something."""
    paid = [one for one in chosen if not one.target.free]
    if paid and not settings.yes and not confirm("Send them?"):
        raise BenchError("nothing was sent; --yes says yes in advance")


@contextmanager
def addressed(chosen: Sequence[Chosen]) -> Iterator[tuple[Sequence[Chosen], str]]:
    """The endpoints with their addresses, and that of the simulator with the metronome."""
    with running() as metronome:
        if not any(one.target.simulated for one in chosen):
            yield chosen, metronome.base_url
            return
        with running() as simulator:  # one of its own: the metronome must not hold it up
            yield (
                [
                    replace(one, target=replace(one.target, base_url=simulator.base_url))
                    if one.target.simulated
                    else one
                    for one in chosen
                ],
                metronome.base_url,
            )


async def admit(chosen: Sequence[Chosen], settings: Settings, notes: list[str]) -> tuple[list[Patient], int]:
    """Preflight of each endpoint, and how many requests that took. Raises `BenchError` for what hinders all others."""
    patients, sent = [], 0
    for one in chosen:
        key, headers = key_for(one.target, os.environ), expanded_headers(one.target, os.environ)
        models = [one.model] if one.model else None
        checked = await preflight(one.target, models, set(settings.apis), key=key, headers=headers)
        apis = [api for api in settings.apis if api not in checked.missing]
        missing = [f"{one.name}: no {API_NAMES[api]} there" for api in settings.apis if api in checked.missing]
        if not apis:
            raise BenchError(f"{'; '.join(missing)}: nothing to examine (its base URL may have to end in /v1)")
        others = [line for line in checked.notices if "try --api" not in line]
        for line in [*missing, *others]:
            say(line)
        notes += [f"{line[:1].upper()}{line[1:]}." for line in missing]
        sent += 1 + len(apis)
        manner = Manner(
            model=checked.models[0],
            temperature=checked.temperature,
            length=checked.length,
            extra=one.target.extra_body,
            simulated=one.simulated,
        )
        hop = Hop(name=one.name, base_url=one.target.base_url or "", model=checked.models[0])
        redact = Redactor([key, *headers.values()])
        patients.append(Patient(hop=hop, key=key, headers=headers, manner=manner, apis=apis, redact=redact))
    return patients, sent


def show(diagnosis: Diagnosis, settings: Settings) -> None:
    """To stdout in the form that was asked for, and as a page."""
    if settings.form == "json":
        from bench.doctor.reports.as_json import render_json  # noqa: PLC0415

        print(render_json(diagnosis).decode(), end="")  # noqa: T201
    elif settings.form == "markdown":
        from bench.doctor.reports.markdown import render_markdown  # noqa: PLC0415

        print(render_markdown(diagnosis), end="")  # noqa: T201
    else:
        from bench.doctor.reports.terminal import render_terminal  # noqa: PLC0415

        print(render_terminal(diagnosis, width=_columns(), color=sys.stdout.isatty()), end="")  # noqa: T201
    if settings.html or settings.open_html:
        _write_page(diagnosis, settings)


def _columns() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST


def _write_page(diagnosis: Diagnosis, settings: Settings) -> None:
    from bench.doctor.reports.html import render_html  # noqa: PLC0415  (altair)
    from bench.report import write_whole  # noqa: PLC0415
    from bench.show import open_page  # noqa: PLC0415

    page = settings.html or PAGE
    try:
        write_whole({page: render_html(diagnosis).encode()})
    except OSError as error:
        raise BenchError(f"--html {page}: cannot be written ({error.strerror}); name another file") from error
    say(f"page: {page}")
    if settings.open_html:
        open_page(page)
