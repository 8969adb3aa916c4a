"""The work of one worker as plain data, from which it makes plugins, clients and requests itself.

Functions of plugins loaded by path cannot be pickled, so their source is sent. Keys and headers are sent as names of
environment variables, which the worker looks up where it runs: a shard contains no secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.plugins import loader as manager
from bench.core.scenario import Prompt
from bench.core.target import Target, expanded_headers, key_for
from bench.plan.choice import Choice
from bench.plan.options.option import worker_values
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.preflight.preflight import PreflightResult

if TYPE_CHECKING:
    from bench.run.assignment import Assignment


@dataclass(frozen=True, kw_only=True)
class PluginSource:
    """A plugin; the worker must load the same version."""

    name: str
    """A path, or the name that `bench list` shows for a built-in plugin or an entry point with its version."""
    sha256: str
    text: str | None
    """Text of the file if a path named it; None: the worker has it installed."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The work of one worker of a run. All values survive JSON."""

    run: str
    """Id of the run."""
    index: int
    of: int
    label: str
    """Name of the worker in the records."""
    plan: Mapping[str, Any]
    """Result of `Plan.to_json`."""
    scenarios: Sequence[str]
    sources: Sequence[PluginSource]
    prompts: Sequence[Prompt] | None
    """The user's prompts; None: each scenario's own."""
    targets: Sequence[Mapping[str, Any]]
    """`Target`s: `api_key_env` names a variable, `headers` may say `${VARIABLE}`."""
    checked: Mapping[str, Mapping[str, Any]]
    """Findings of preflight by target: `temperature`, `length`."""
    settings: Mapping[str, Any]
    streams: int
    """Most streams that this worker may hold open."""
    t0: int | None
    """The run's start on `perf_counter_ns`; None where that is another machine's clock."""

    def to_json(self) -> dict[str, Any]:
        """Return the shard as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Shard:
        """Return the shard of values that `to_json` returned."""
        return cls(**{**stored, "sources": [PluginSource(**source) for source in stored["sources"]]})


def make_shards(assignment: Assignment, labels: Sequence[str], *, streams: int, t0: int | None) -> list[Shard]:
    """Make a shard for each label. `streams`: most streams that all workers together may hold open."""
    choice, settings, endpoints = assignment.choice, assignment.settings, assignment.endpoints
    own = [choice.prompts[s.name] for s in choice.scenarios if choice.prompts[s.name] is not s.prompts]
    first = Shard(
        run=assignment.run.folder.name,
        index=0,
        of=len(labels),
        label=labels[0],
        plan=assignment.plan.to_json(),
        scenarios=[scenario.name for scenario in choice.scenarios],
        sources=list(sources_of(choice)),
        prompts=list(own[0]) if own else None,
        targets=[{**asdict(endpoint.target), "price": None} for endpoint in endpoints.values()],
        checked={
            name: {"temperature": endpoint.checked.temperature, "length": endpoint.checked.length}
            for name, endpoint in endpoints.items()
        },
        settings=worker_values(settings),
        streams=-(-streams // len(labels)),
        t0=t0,
    )
    return [replace(first, index=index, label=label) for index, label in enumerate(labels)]


def sources_of(choice: Choice) -> Iterator[PluginSource]:
    """Yield the plugins with a chosen scenario, and those that observe trials."""
    registry = choice.registry
    chosen = {id(registry.scenarios[scenario.name][1].module) for scenario in choice.scenarios}
    watching = {id(one.plugin) for one in registry.manager.hook.observe.get_hookimpls()}
    for name, module in registry.manager.list_name_plugin():
        if id(module) in chosen | watching:
            # latin-1 keeps the bytes, one to a character: a source may declare its own encoding
            text = Path(name).read_bytes().decode("latin-1") if Path(name).is_file() else None
            yield PluginSource(name=name, sha256=_hash(module), text=text)


def _hash(module: object) -> str:
    """Return the hash of a module's file, or "" if it has none."""
    file = getattr(module, "__file__", None)
    return sha256(Path(file).read_bytes()).hexdigest() if file else ""


def load_plugins(shard: Shard, scratch: Path) -> manager.Registry:
    """Load the shard's plugins. Raises `BenchError` if one differs from the run's."""
    paths = {source.name: _file(source, scratch / str(n)) for n, source in enumerate(shard.sources) if source.text}
    registry = manager.load(list(paths.values()))
    loaded = dict(registry.manager.list_name_plugin())
    for source in shard.sources:
        path = paths.get(source.name)
        module = loaded.get(str(path.resolve()) if path else source.name)
        if module is None:
            raise BenchError(f"{source.name} is not installed there; install it where the worker runs")
        if _hash(module) != source.sha256:
            raise BenchError(f"{source.name} is another one there than here; install the same version of it")
    return registry


def _file(source: PluginSource, folder: Path) -> Path:
    """Return the plugin's own file if it is here unchanged; else write its text to a new one."""
    own, text = Path(source.name), (source.text or "").encode("latin-1")
    if own.is_file() and sha256(own.read_bytes()).hexdigest() == source.sha256:
        return own
    if sha256(text).hexdigest() != source.sha256:
        raise BenchError(f"the source of {source.name} was damaged on its way; run again")
    folder.mkdir()
    (folder / own.name).write_bytes(text)
    return folder / own.name


def choice_of(shard: Shard, registry: manager.Registry) -> Choice:
    """Return the worker's choice of scenarios, targets and prompts."""
    scenarios = [registry.scenarios[name][0] for name in shard.scenarios]
    return Choice(
        registry=registry,
        scenarios=scenarios,
        targets=[(Target(**target), None) for target in shard.targets],
        prompts={scenario.name: shard.prompts or scenario.prompts for scenario in scenarios},
        params={},
        seed=shard.plan["seed"],
    )


def endpoints_of(shard: Shard, environ: Mapping[str, str]) -> dict[str, CheckedTarget]:
    """Return the targets with keys and headers from this environment. Raises `BenchError` for an unset variable."""
    found = {}
    for plain in shard.targets:
        target = Target(**plain)
        checked = PreflightResult(models=[], notices=[], server=None, **shard.checked[target.name])
        key, headers = key_for(target, environ), expanded_headers(target, environ)
        found[target.name] = CheckedTarget(target=target, key=key, headers=headers, checked=checked)
    return found
