"""Find, load and check plugins: entry points, the built-in folder, and files or folders the user names."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from bench.core.errors import BenchError
from bench.core.plugins import hookspecs
from bench.core.plugins.checks import check_declared, check_lacks
from bench.core.results.summary import Reporter
from bench.core.scenario import API_NAMES, Scenario, fault_of
from bench.core.target import Target

GROUP = "bench"
NAME = re.compile(r"[a-z][a-z0-9_]*")
HOOKS = ("observe", "register_reporters", "register_scenarios", "register_targets")


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin and where it came from: `entry point NAME (DIST VERSION)`, `built in`, or the file's path."""

    module: ModuleType
    source: str
    path: Path | None


@dataclass(frozen=True)
class Registry:
    """Everything that the plugins registered, with the plugin that registered it. Sorted by name."""

    scenarios: dict[str, tuple[Scenario, LoadedPlugin]]
    targets: dict[str, tuple[Target, LoadedPlugin]]
    reporters: dict[str, tuple[Reporter, LoadedPlugin]]
    manager: pluggy.PluginManager

    def plugin_targets(self) -> list[Target]:
        """Return the targets, each saying which plugin it is from."""
        return [replace(target, source=found.source) for target, found in self.targets.values()]

    @property
    def all_reporters(self) -> list[Reporter]:
        """The reporters without the plugins they come from."""
        return [reporter for reporter, _ in self.reporters.values()]


def builtin_folder() -> Path:
    """Return `bench/plugins` in a wheel, `plugins` beside the package in a checkout and an editable install."""
    package = Path(__file__).parents[2]
    inside = package / "plugins"
    return inside if inside.is_dir() else package.parent / "plugins"


def new_manager() -> pluggy.PluginManager:
    """Return a manager that knows the hooks and no plugin."""
    manager = pluggy.PluginManager("bench")
    manager.add_hookspecs(hookspecs)
    return manager


def load(files: Sequence[Path] = (), folders: Sequence[Path] = ()) -> Registry:
    """Load every plugin and collect what each registers.

    Entry points come first, because pluggy silently skips one whose name is taken; files are registered by path.
    """
    manager = new_manager()
    found = [_register(manager, plugin) for plugin in _all_plugins(files, folders)]
    return Registry(
        scenarios=_collect(manager, found, "register_scenarios"),
        targets=_collect(manager, found, "register_targets"),
        reporters=_collect(manager, found, "register_reporters"),
        manager=manager,
    )


def _all_plugins(files: Sequence[Path], folders: Sequence[Path]) -> Iterable[LoadedPlugin]:
    yield from _from_entry_points()
    yield LoadedPlugin(importlib.import_module(BUILT_IN), "built in (reporters)", None)
    named = [*sorted(builtin_folder().glob("*.py")), *files, *(f for folder in folders for f in _files_of(folder))]
    for path in dict.fromkeys(file.resolve() for file in named):
        built_in = path.parent == builtin_folder().resolve()
        yield LoadedPlugin(load_file(path), f"built in ({path.name})" if built_in else str(path), path)


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BenchError(f"--plugins-dir {folder}: not a folder")
    return sorted(file for file in folder.glob("*.py") if not file.name.startswith("_"))


def _from_entry_points() -> Iterable[LoadedPlugin]:
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        dist = f" ({point.dist.name} {point.dist.version})" if point.dist else ""
        source = f"entry point {point.name}{dist}"
        try:
            module = point.load()
        except Exception as error:
            raise BenchError(f"plugin {source} fails to import: {_describe(error)}") from error
        yield LoadedPlugin(module, source, None)


BUILT_IN = "bench.reports.builtin"
"""The built-in reporters, by name: no import of a room above this one."""


def load_file(path: Path) -> ModuleType:
    """Execute a plugin file under a name of its own: never importable by that name, never from the current folder.

    It stands in `sys.modules` while it is executed, or dataclasses with postponed annotations fail.
    """
    if path.is_dir():
        raise BenchError(f"plugin {path}: is a folder; load its files with --plugins-dir {path}")
    if not path.is_file():
        raise BenchError(f"plugin {path}: no such file")
    name = f"bench_plugin_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BenchError(f"plugin {path} fails to import: {_describe(error)}") from error
    return module


def _describe(error: BaseException) -> str:
    """Write the error and the innermost line it came from, on one line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    message = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{message} ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else message


def _register(manager: pluggy.PluginManager, plugin: LoadedPlugin) -> LoadedPlugin:
    """Register and check at once, so that a misspelt hook names its own file."""
    try:
        manager.register(plugin.module, name=plugin.source)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        reason = " ".join(str(error).split())
        raise BenchError(f"plugin {plugin.source}: {reason} (the hooks: {', '.join(HOOKS)})") from error
    if not manager.get_hookcallers(plugin.module):
        raise BenchError(f"plugin {plugin.source}: no hook found; decorate one of {', '.join(HOOKS)} with @hookimpl")
    return plugin


def _collect(manager: pluggy.PluginManager, found: Sequence[LoadedPlugin], hook: str) -> dict[str, Any]:
    """Collect what each plugin registers through one hook, sorted by name. Two of one name are an error naming both."""
    kind = hook.removeprefix("register_")
    named: dict[str, tuple[Any, LoadedPlugin]] = {}
    for plugin in found:
        for item in _call(manager, plugin, hook):
            _check(item, kind, plugin)
            if item.name in named:
                raise BenchError(
                    f"two {kind} are called {item.name!r}: {named[item.name][1].source} and {plugin.source}"
                )
            named[item.name] = (item, plugin)
    return dict(sorted(named.items()))


def _call(manager: pluggy.PluginManager, plugin: LoadedPlugin, hook: str) -> list[Any]:
    implementations = [i.function for i in getattr(manager.hook, hook).get_hookimpls() if i.plugin is plugin.module]
    try:
        return [item for implementation in implementations for item in implementation() or ()]
    except Exception as error:
        raise BenchError(f"plugin {plugin.source}: {hook} fails: {_describe(error)}") from error


def _check(item: object, kind: str, plugin: LoadedPlugin) -> None:
    """Check that an item is of the right type, and that the runner can call it."""
    expected = {"scenarios": Scenario, "targets": Target, "reporters": Reporter}[kind]
    if not isinstance(item, expected):
        raise BenchError(f"plugin {plugin.source}: register_{kind} gave {item!r}; it must yield {expected.__name__}s")
    if isinstance(item, Scenario):
        _check_scenario(item, plugin)
    if isinstance(item, Target):
        check_lacks(item.lacks, f"plugin {plugin.source}: target {item.name!r}")


def _check_scenario(scenario: Scenario, plugin: LoadedPlugin) -> None:
    where = f"plugin {plugin.source}: scenario {scenario.name!r}"
    if not NAME.fullmatch(scenario.name):
        raise BenchError(f"{where}: a name is lower-case letters, digits and _, and starts with a letter")
    if wrong := fault_of(scenario):
        raise BenchError(f"{where}: {wrong}")
    if scenario.api not in API_NAMES:
        raise BenchError(f"{where}: `api` is 'responses' or 'chat', not {scenario.api!r}")
    if not scenario.prompts:
        raise BenchError(f"{where}: `prompts` is empty; give at least one")
    if not all(isinstance(p, str) or ("prompt" in p) != ("messages" in p) for p in scenario.prompts):
        raise BenchError(f"{where}: each of `prompts` is a text, or a mapping with `prompt` or `messages`")
    check_declared(scenario, where)
