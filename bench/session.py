"""One measured run from its first request to its last record: simulator, preflight, folder, trials, memory, Parquet."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from time import perf_counter_ns, time_ns
from typing import Any

from bench import environment
from bench.asks import Options
from bench.choice import Choice, Settings, output_tokens
from bench.clients.sdk import sdk_client
from bench.endpoint import expanded_headers, key_for, secrets_of
from bench.errors import BenchError
from bench.meters.memory import LENGTHS, Job, measure
from bench.plan import Plan
from bench.preflight import Checked, preflight
from bench.progress import Reporter, progress, say
from bench.records import MANIFEST, PLAN, Journal, columns_of, finish, write_json
from bench.redact import Redactor, redact_argv
from bench.runner import Context, Link, Tally, carry_out
from bench.scenario import Api, Scenario
from bench.schema import SCHEMA_VERSION
from bench.simulator.process import running
from bench.simulator.truth import read_truth
from bench.target import OPENAI, Price, Target

MEMORY_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A target with its address and what preflight found there."""

    target: Target
    key: str
    headers: Mapping[str, str]
    checked: Checked


@dataclass(kw_only=True)
class Run:
    """A run folder that is being filled."""

    folder: Path
    t0: int
    manifest: dict[str, Any]
    tally: Tally = field(default_factory=Tally)

    def save(self) -> None:
        """Write the manifest as it now stands."""
        write_json(self.folder / MANIFEST, self.manifest)


def new_folder(out: Path) -> Path:
    """A new run folder with an id that sorts by time; one line when it cannot be written."""
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BenchError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from error
    return folder


def check_out(out: Path) -> None:
    """Can runs be written there? Asked before the first request, and nothing is left behind."""
    place = next(folder for folder in (out, *out.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise BenchError(f"--out {out}: cannot be written ({place} is not a writable folder); choose another")


@contextmanager
def simulator_for(choice: Choice, settings: Settings, truth: Path) -> Iterator[Choice]:
    """Start the simulator where a chosen target is `sim`: the choice with its address in that target.

    It logs its send times to `truth`, whole only when the block has been left.
    """
    if not any(target.simulated for target, _ in choice.targets):
        yield choice
        return
    with running(profile=settings.profile, truth=truth) as simulator:
        targets = [
            (replace(target, base_url=simulator.base_url) if target.simulated else target, model)
            for target, model in choice.targets
        ]
        yield replace(choice, targets=targets)


def check_endpoints(choice: Choice) -> dict[str, Endpoint]:
    """Preflight every target, by name. Says its notices."""
    wanted: dict[str, tuple[Target, list[str]]] = {}
    for target, model in choice.targets:
        models = wanted.setdefault(target.name, (target, []))[1]
        models += [model] if model else []
    return asyncio.run(_check_all(wanted, {scenario.api for scenario in choice.scenarios}))


async def _check_all(wanted: Mapping[str, tuple[Target, list[str]]], apis: set[Api]) -> dict[str, Endpoint]:
    found = {}
    for name, (target, models) in wanted.items():
        key, headers = key_for(target, os.environ), expanded_headers(target, os.environ)
        checked = await preflight(target, models, apis, key=key, headers=headers)
        for notice in checked.notices:
            say(notice)
        found[name] = Endpoint(target=target, key=key, headers=headers, checked=checked)
    return found


def redactor(choice: Choice) -> Redactor:
    """Hides every secret of every target in any text that is stored."""
    return Redactor(secret for target, _ in choice.targets for secret in secrets_of(target, os.environ))


def begin(
    plan: Plan,
    choice: Choice,
    endpoints: Mapping[str, Endpoint],
    settings: Settings,
    argv: Sequence[str],
    notes: Sequence[str],
) -> Run:
    """The run folder with its plan and manifest: on disk before the first measured request."""
    folder = new_folder(settings.out)
    run = Run(folder=folder, t0=perf_counter_ns(), manifest={})
    run.manifest = {
        "schema_version": SCHEMA_VERSION,
        "run_id": folder.name,
        "name": settings.name,
        "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "t0_mono_ns": run.t0,
        "t0_unix_ns": time_ns(),
        "ended": None,
        "duration_s": None,
        "command": list(map(redactor(choice), redact_argv(argv))),
        "versions": environment.versions(),
        "environment": environment.machine(),
        "simulator": {"profile": settings.profile} if any(cell.simulated for cell in plan.cells) else None,
        "notes": [redactor(choice)(note) for note in (*notes, *_notices(endpoints))],
        "plan_sha256": plan.hash,
        "settings": {
            "deadline_s": settings.deadline,
            "max_retries": settings.max_retries,
            "sent": {name: asdict(_options(endpoint, settings)) for name, endpoint in endpoints.items()},
            "store_text": settings.store_text,
        },
    }
    targets = [
        {"name": target.name, "host": target.host, "simulated": target.simulated, "price": _asdict(target.price)}
        for target in {target.name: target for target, _ in choice.targets}.values()
    ]
    extra = {"delivery": settings.delivery, "deadline_s": settings.deadline, "max_retries": settings.max_retries}
    write_json(folder / PLAN, {**plan.to_json(), **extra, "targets": targets, "memory": settings.memory})
    run.save()
    return run


def measure_trials(
    run: Run, plan: Plan, choice: Choice, endpoints: Mapping[str, Endpoint], settings: Settings, journal: Journal
) -> bool:
    """Carry the plan out; what came of it is counted in `run.tally`. False: it was interrupted."""
    with progress(len(plan.trials), "trials") as reporter:
        try:
            asyncio.run(_measure(run, plan, choice, endpoints, settings, journal, reporter))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return False
    return True


def _asdict(price: Price | None) -> dict[str, float] | None:
    return asdict(price) if price else None


async def _measure(
    run: Run,
    plan: Plan,
    choice: Choice,
    endpoints: Mapping[str, Endpoint],
    settings: Settings,
    journal: Journal,
    reporter: Reporter,
) -> None:
    async with AsyncExitStack() as stack:
        links = {name: await _link(endpoint, settings, stack) for name, endpoint in endpoints.items()}
        context = Context(
            scenarios={scenario.name: scenario for scenario in choice.scenarios},
            prompts=choice.prompts,
            links=links,
            hooks=choice.registry.manager.hook,
            journal=journal,
            t0=run.t0,
            deadline_s=settings.deadline,
            store_text=settings.store_text,
            redact=redactor(choice),
            tally=run.tally,
        )
        await carry_out(plan, context, reporter)


async def _link(endpoint: Endpoint, settings: Settings, stack: AsyncExitStack) -> Link:
    """One client, and so one connection pool, per target."""
    target = endpoint.target
    client, tap = sdk_client(
        target.base_url or "",
        key=endpoint.key,
        headers=endpoint.headers,
        max_retries=settings.max_retries,
        own_environment=target.name == OPENAI,
        direct=target.simulated,
    )
    await stack.enter_async_context(client)
    return Link(target=target, client=client, tap=tap, options=_options(endpoint, settings))


def _options(endpoint: Endpoint, settings: Settings) -> Options:
    """What every request to this endpoint asks for: kept in the manifest as well."""
    return Options(
        output_tokens=output_tokens(endpoint.target, settings) if endpoint.checked.length else None,
        temperature=endpoint.checked.temperature,
        control={"profile": settings.profile} if endpoint.target.simulated else {},
    )


def _notices(endpoints: Mapping[str, Endpoint]) -> list[str]:
    return [notice for endpoint in endpoints.values() for notice in endpoint.checked.notices]


def measure_memory(choice: Choice, journal: Journal) -> tuple[bool, list[str]]:
    """The memory pass, always on a simulator of its own. (Was it carried through?, notes on what is missing)."""
    jobs = [Job(scenario.name, _source(choice, scenario)) for scenario in choice.scenarios]
    with progress(_points(choice), "memory") as reporter:
        try:
            rows, notes = measure(jobs, seconds=MEMORY_SECONDS, on_progress=lambda row: reporter.step(row["scenario"]))
        except KeyboardInterrupt:
            return False, ["the memory pass was interrupted; it has no figures"]
    journal.write({"memory": columns_of("memory", rows)})
    return True, notes


def _points(choice: Choice) -> int:
    deliveries = sum(2 if scenario.blocking else 1 for scenario in choice.scenarios)
    return deliveries * len(LENGTHS) * 2  # tracemalloc and RSS


def _source(choice: Choice, scenario: Scenario) -> Path | str:
    """The file of the scenario's plugin, or its module where it came from an entry point."""
    found = choice.registry.scenarios[scenario.name][1]
    return found.path or found.module.__name__


def end(run: Run, journal: Journal, truth: Path, *, ended: str, notes: Sequence[str]) -> None:
    """Add the simulator's send log, close the journal, turn it into Parquet, complete the manifest."""
    if truth.exists():
        for sent in read_truth(truth):
            journal.write({"truth": _truth_columns(sent, run.t0)})
    journal.close()
    run.manifest["ended"] = ended
    run.manifest["duration_s"] = round((perf_counter_ns() - run.t0) / 1e9, 1)
    run.manifest["notes"] += notes
    finish(run.folder)
    run.save()


def discard_unmeasured(run: Run, journal: Journal) -> None:
    """Remove the folder of a run that broke off before its first measured trial: there is nothing in it to report."""
    journal.close()
    if not run.tally.statuses:
        rmtree(run.folder)


def _truth_columns(sent: Mapping[str, Any], t0: int) -> dict[str, list[Any]]:
    frames = len(sent["t_sent"])
    return {
        "client_id": [sent["client_id"]] * frames,
        "server_id": [sent["server_id"]] * frames,
        "frame": list(range(frames)),
        "t_sent": [time - t0 for time in sent["t_sent"]],
        "type": sent["type"],
        "bytes": sent["bytes"],
    }
