"""Find the endpoints that a command means, from its options and the project's files; never one by accident."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, unknown
from bench.core.target import (
    BUILT_IN,
    SIM,
    Target,
    check_base_url,
    check_variable,
)
from bench.core.text.text_file import read_text
from bench.plan.config import Config


@dataclass(frozen=True)
class ResolvedTargets:
    """The targets and models that will be measured, and notices for the user."""

    choices: Sequence[tuple[Target, str | None]]
    """(target, model) in the order asked for; a None model is whatever preflight finds to be the only one served."""
    notices: Sequence[str]


def known_targets(config: Config, plugin_targets: Iterable[Target]) -> dict[str, Target]:
    """Return the targets by name: built in, from plugins, from the project's files. Two of one name are an error."""
    known = {target.name: target for target in BUILT_IN}
    for target in (*plugin_targets, *config.targets):
        other = known.setdefault(target.name, target)
        if other != target:
            raise BenchError(
                f"two targets are named {target.name!r}: one from {other.source}, one from {target.source}; rename one"
            )
    return known


def resolve_targets(
    config: Config,
    plugin_targets: Iterable[Target],
    *,
    target_names: Sequence[str],
    base_url: str | None,
    models: Sequence[str],
    api_key_env: str | None,
    headers: Mapping[str, str],
    extra_body: Mapping[str, Any],
    environ: Mapping[str, str],
) -> ResolvedTargets:
    """Return the targets and models that the options mean: each target with each asked model (else its own) once.

    Nothing is looked up but `OPENAI_BASE_URL` for the target `openai`; keys and headers stay names of variables.
    """
    if base_url is not None and target_names:
        raise BenchError("--target and --base-url name two endpoints: give one of them")
    if base_url is not None:
        target = Target(name="", base_url=check_base_url(base_url, "--base-url"), source="--base-url")
        chosen = [replace(target, name=target.host)]
    else:
        known = known_targets(config, plugin_targets)
        chosen = [_find_target(name, known) for name in _names(target_names, models)]
    real = [target for target in chosen if not target.simulated]
    if api_key_env is not None and len(real) > 1:
        raise BenchError(
            "--api-key-env would send one key to several targets: say api_key_env for each target in bench.toml"
        )
    chosen = [_with_options(target, api_key_env, headers, extra_body, environ) for target in chosen]
    choices = [(target, model) for target in chosen for model in dict.fromkeys(models or target.models) or [None]]
    return ResolvedTargets(choices, [notice for target in chosen for notice in _notices(target, api_key_env, environ)])


def parse_extra_body(text: str) -> dict[str, Any]:
    """Parse the value of `--extra-body`: a JSON object, or `@FILE` that holds one."""
    where = "--extra-body"
    if text.startswith("@"):
        where = text[1:]
        text = read_text(Path(where))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise BenchError(f"{where}:{error.lineno}:{error.colno}: not valid JSON ({error.msg})") from error
    if not isinstance(value, dict):
        raise BenchError(f'{where}: expected a JSON object, for instance {{"top_p": 0.9}}')
    return value


def _names(target_names: Sequence[str], models: Sequence[str]) -> Sequence[str]:
    if models and not target_names:
        raise BenchError(f"--model {models[0]} of which endpoint? add `--target openai` or `--base-url URL`")
    return list(dict.fromkeys(target_names)) or [SIM]


def _find_target(name: str, known: Mapping[str, Target]) -> Target:
    if name not in known:
        hint = "an address goes to --base-url" if "://" in name else "bench list shows all"
        raise unknown("target", name, known, hint=hint)
    return known[name]


def _with_options(
    target: Target,
    api_key_env: str | None,
    headers: Mapping[str, str],
    extra_body: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Target:
    """Put what the options say on top of the target; `sim` needs no key and gets none."""
    given = {name.lower() for name in headers}
    kept = {name: value for name, value in target.headers.items() if name.lower() not in given}
    target = replace(target, headers={**kept, **headers}, extra_body={**target.extra_body, **extra_body})
    if target.simulated:
        return target
    if api_key_env is not None:
        target = replace(target, api_key_env=check_variable(api_key_env, "--api-key-env"))
    url, where = target.base_url or "", f"base_url of target {target.name} ({target.source})"
    if target.name == "openai" and environ.get("OPENAI_BASE_URL"):
        url, where = environ["OPENAI_BASE_URL"], "OPENAI_BASE_URL"
    return replace(target, base_url=check_base_url(url, where))


def _notices(target: Target, api_key_env: str | None, environ: Mapping[str, str]) -> list[str]:
    if target.simulated:
        unused = [name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if environ.get(name)]
        notices = [f"{' and '.join(unused)} not used: this run is on the simulator; --target openai uses it"]
        return (notices if unused else []) + (["--api-key-env not used on the simulator"] if api_key_env else [])
    if target.name == "openai" and environ.get("OPENAI_BASE_URL"):
        return [f"OPENAI_BASE_URL is set: requests for the target openai go to {target.host}"]
    if target.api_key_env == "OPENAI_API_KEY" and target.name != "openai" and api_key_env is None:
        return [f"target {target.name} ({target.source}) sends OPENAI_API_KEY to {target.host}"]
    return []
