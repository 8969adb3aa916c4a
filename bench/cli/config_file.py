"""Read `bench.toml` and `[tool.bench]` of `pyproject.toml`: a project's targets and its defaults for `bench run`."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, unknown
from bench.core.target import BUILT_IN, Price, Target, check_base_url, check_header, check_variable, is_sensitive
from bench.core.text.text_file import read_text
from bench.gate.condition import parse_condition
from bench.plan.config import Config
from bench.plan.options.kinds import PATH
from bench.plan.options.option import toml_options
from bench.plan.settings import Settings

Table = Mapping[str, Any]
Types = Mapping[str, tuple[type, ...]]
FILE: Types = {"targets": (dict,), "run": (dict,), "gate": (dict,)}
RUN: Types = {key: option.toml_types for key, (_, option) in toml_options(Settings).items()}
GATE: Types = {"fail-on": (str, list), "allow-undecided": (bool,)}
TARGET: Types = {
    "base_url": (str,),
    "api_key_env": (str,),
    "model": (str, list),
    "headers": (dict,),
    "extra_body": (dict,),
    "price": (dict,),
    "lacks": (list,),
}
PRICE: Types = {"input": (int, float), "output": (int, float)}
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list of texts",
    dict: "a table",
    bool: "true or false",
}
_CHOOSES_TARGET = {"target", "default-target", "default_target", "base-url", "base_url"}
_HOLDS_KEY = {"api_key", "api-key", "apikey", "key", "token", "secret"}


def load_config(start: Path, explicit: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the project's files: the explicit one alone, or `bench.toml` before `pyproject.toml`.

    They are looked for in `start` and above it, up to the repository's root (where `.git` is) or `$HOME`; outside of
    both in `start` only, since a parent such as /tmp belongs to anyone.
    """
    folders = _folders(start.resolve(), environ)
    names = ("bench.toml", "pyproject.toml")
    files = [explicit] if explicit else [file for name in names if (file := _nearest_file(name, folders))]
    targets: dict[str, Target] = {}
    run: dict[str, Any] = {}
    gate: dict[str, Any] = {}
    read = []
    for file in files:
        table = read_table(file)
        if table is None:
            continue
        read.append(file)
        targets = {name: _target(name, one, file) for name, one in table.get("targets", {}).items()} | targets
        run = _run_defaults(table.get("run", {}), file) | run
        gate = _gate(table.get("gate", {}), file) | gate
    return Config(tuple(targets.values()), run, tuple(read), gate)


def read_table(file: Path) -> Table | None:
    """Read the file's table; of a `pyproject.toml` what is below `[tool.bench]`, None where it has none."""
    text = read_text(file)
    try:
        table: Table | None = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(_with_place(file, text, str(error))) from error
    if file.name == "pyproject.toml":
        tool = (table or {}).get("tool")
        table = tool.get("bench") if isinstance(tool, dict) else None
    if table is not None:
        _check(table, FILE, str(file))
    return table


def _folders(start: Path, environ: Mapping[str, str]) -> Sequence[Path]:
    upwards = [start, *start.parents]
    for number, folder in enumerate(upwards, 1):
        if (folder / ".git").exists() or str(folder) == environ.get("HOME"):
            return upwards[:number]
    return upwards[:1]


def _nearest_file(name: str, folders: Sequence[Path]) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _with_place(file: Path, text: str, message: str) -> str:
    """Return tomllib's message with its place in front: `bench.toml:3:7: …`."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if not found:
        return f"{file}: {message}"
    lines = text.split("\n")
    line, column = (found[2], found[3]) if found[2] else (len(lines), len(lines[-1]) + 1)
    return f"{file}:{line}:{column}: not valid TOML ({found[1]})"


def _run_defaults(table: Table, file: Path) -> dict[str, Any]:
    """Return the defaults in `[run]`, by field of `Settings`; relative paths start at the file's folder."""
    where, found = f"{file}: [run]", dict[str, Any]()
    for key, value in _check(table, RUN, where).items():
        name, option = toml_options(Settings)[key]
        try:
            found[name] = option.from_toml(value)
        except BenchError as error:
            raise BenchError(f"{where}: {key}: {error}") from error
        if option.kind is PATH:
            found[name] = tuple(file.parent / path.expanduser() for path in found[name])
    return found


def _gate(table: Table, file: Path) -> dict[str, Any]:
    where = f"{file}: [gate]"
    gate = dict(_check(table, GATE, where))
    if "fail-on" in gate:
        gate["fail-on"] = _texts(gate["fail-on"], f"{where} fail-on")
    for text in gate.get("fail-on", ()):
        try:
            parse_condition(text)
        except BenchError as error:
            raise BenchError(f"{where} fail-on: {error}") from error
    return gate


def _target(name: str, table: object, file: Path) -> Target:
    where = f"{file}: [targets.{name}]"
    if name in {target.name for target in BUILT_IN}:
        raise BenchError(f"{where}: a project's file cannot redefine the built-in target {name!r}; use another name")
    if not isinstance(table, dict):
        raise BenchError(f"{where}: expected a table with base_url")
    _check(table, TARGET, where)
    if "base_url" not in table:
        raise BenchError(f'{where}: base_url is missing; add base_url = "https://host/v1"')
    return Target(
        name=name,
        base_url=check_base_url(table["base_url"], f"{where} base_url"),
        api_key_env=check_variable(table["api_key_env"], f"{where} api_key_env") if "api_key_env" in table else None,
        models=_texts(table.get("model", ()), f"{where} model"),
        headers=_headers(table.get("headers", {}), where),
        extra_body=_json(table.get("extra_body", {}), f"{where} extra_body"),
        price=_price(table["price"], f"{where} price") if "price" in table else None,
        lacks=_capabilities(table.get("lacks", ()), where),
        source=str(file),
    )


def _headers(table: Table, where: str) -> dict[str, str]:
    headers = dict(check_header(name, _text(value, f"{where} header {name}"), where) for name, value in table.items())
    for name, value in headers.items():
        if is_sensitive(name) and "${" not in value:
            raise BenchError(
                f'{where}: header {name} would keep a secret in the file; export it and write {name} = "${{VARIABLE}}"'
            )
    return headers


def _price(table: Table, where: str) -> Price:
    _check(table, PRICE, where)
    if set(table) != set(PRICE) or not all(0 <= price < math.inf for price in table.values()):
        raise BenchError(f"{where}: give both, in US dollars per million tokens: {{ input = 0.15, output = 0.6 }}")
    return Price(**table)


def _json(table: Table, where: str) -> Table:
    try:
        json.dumps(table, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{where}: cannot be sent as JSON ({error})") from error
    return table


def _texts(value: object, where: str) -> Sequence[str]:
    if isinstance(value, str):
        value = [value]
    return tuple(_text(item, where) for item in value) if isinstance(value, list | tuple) else ()


def _capabilities(value: object, where: str) -> Sequence[str]:
    from bench.core.plugins.checks import check_lacks  # noqa: PLC0415  (pydantic, which only `lacks` needs)

    words = _texts(value, f"{where} lacks")
    if words:
        check_lacks(words, where)
    return words


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BenchError(f"{where}: expected text")
    return value


def _check(table: object, types: Types, where: str) -> Table:
    """Return the table when it has only keys that are known, each with a value of its type."""
    if not isinstance(table, dict):
        raise BenchError(f"{where}: expected a table")
    for key, value in table.items():
        if key not in types:
            raise _key_error(key, value, types, where)
        if not isinstance(value, types[key]) or (isinstance(value, bool) and bool not in types[key]):
            raise BenchError(f"{where}: {key} must be {' or '.join(_WORDS[type_] for type_ in types[key])}")
    return table


def _key_error(key: str, value: object, types: Types, where: str) -> BenchError:
    if key in _CHOOSES_TARGET and types is not TARGET and isinstance(value, str):
        return BenchError(f"{where}: a file cannot choose the target ({key}); say it with --target or --base-url")
    if key in _HOLDS_KEY:
        return BenchError(
            f"{where}: {key} would keep a secret in the file; export it and name the variable: "
            'api_key_env = "MY_API_KEY" (and withdraw the key if the file was shared)'
        )
    return BenchError(f"{where}: {unknown('key', key, types)}")
