"""Take the names of hosts out of a summary (`--anonymize`), so that its reports can be shown to others."""

from __future__ import annotations

import ipaddress
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

from bench.core.results.summary import Summary
from bench.records import journal as records

Value = TypeVar("Value")
WORDS = frozenset(
    ("delivery", "metric", "unit", "statistic", "verdict", "status", "kind", "which", "better", "method", "meter")
)
"""Fields that hold words of ours, by which reports look numbers up."""
NOTE = (
    "anonymized: hosts are called host-1, host-2, …, and folders are left out; targets and models keep their names, "
    "and so do hosts in the records of the run (plan.json, manifest.json, *.parquet)"
)
UNTOLD = ("header via", "headers via")
"""What a way to a target says that may name a proxy."""
HIDDEN = "(hidden)"
MACHINE = ("environment", "versions")
"""Parts of a manifest in which numbers with dots are versions, not addresses."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^\s/@?#]*@)?(\[[^\]\s]+\]|[^\s/:?#@\"'<>)\],;]+)", re.IGNORECASE)
_WHOLE_URL = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/]+)/\S*", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])([0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){1,6}:(?:[0-9A-Fa-f]{1,4}|(?<=::))(?:%\w+)?):?(?![\w:])"
)
_NAME = r"(?<![\w.@/\\-])((?:[A-Za-z0-9_][\w-]*\.)+"
_WITH_PORT = re.compile(_NAME + r"([A-Za-z][A-Za-z0-9-]*)):\d{2,5}(?!\d)")
_PRIVATE = re.compile(
    _NAME + r"(?:internal|intranet|private|local|localdomain|lan|corp|home\.arpa))(?![\w-]|\.\w)", re.IGNORECASE
)
"""Names that only mean something in somebody's own network."""
OF_FILES = frozenset(("py", "pyi", "json", "jsonl", "toml", "yaml", "yml", "csv", "md", "html", "txt", "js", "ts", "c"))
"""Ends of names before a colon and a number that is a line."""
_FOLDERS = re.compile(
    r"(?<![\w.:/~-])(?:~[\w.-]*|\.\.?)?/(?:[^/\s:\"']+/)*(?=[^/\s])|(?<!\w)[A-Za-z]:\\+(?:[^\\\s:\"']+\\+)+"
)
_HOMES = re.compile(r"(?:/home|/Users|[A-Za-z]:\\+Users)[/\\]+[^/\\\s:\"']+|/root(?=/|$)")


class Aliases:
    """Which host is called what."""

    def __init__(self, hosts: Iterable[str]) -> None:
        names: dict[str, str] = {}
        for number, host in enumerate(dict.fromkeys(map(_bare, hosts)), 1):
            for form in _forms(host):
                names.setdefault(form.casefold(), f"host-{number}")
        self._names = names
        longest = sorted(names, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(_pattern, longest)), re.IGNORECASE) if longest else None
        home = str(Path.home())
        self._home = re.compile(re.escape(home) + r"(?![\w.-])") if len(home) > 1 else None
        self.text: Callable[[str], str] = lru_cache(4096)(self._text)

    @classmethod
    def from_summary(cls, summary: Summary, more: Iterable[str] = ()) -> Aliases:
        """Name every host in a summary, those in `more`, and this machine."""
        cells = [cell.host for cell in summary.cells if not cell.simulated]
        machine = [name for name in (platform.node(),) if name and name != "localhost"]
        return cls([host for host in (*cells, *more, *_hosts_in_texts(summary), *machine) if host.strip("[]. ")])

    def in_summary(self, summary: Summary) -> Summary:
        """Return the summary without host names, and with a note that says so."""
        manifest = {
            **summary.manifest,
            "command": [self._argument(str(a)) for a in summary.manifest.get("command", ())],
        }
        hidden = self.hide(replace(summary, manifest=manifest))
        return replace(hidden, notes=(NOTE, *hidden.notes))

    def hide(self, value: Value) -> Value:
        """Return a value of plain data without the names, in its keys too."""
        return cast("Value", self._hide(value))

    def _hide(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self._hide(key): HIDDEN if str(key).endswith(UNTOLD) and member else self._hide(member)
                for key, member in value.items()
            }
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            members = self._members(dict(zip(value._fields, value, strict=True)))
            return type(value)(**members)
        if isinstance(value, list | tuple):
            parts = [self._hide(part) for part in value]
            return tuple(parts) if isinstance(value, tuple) else parts
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **self._members({field.name: getattr(value, field.name) for field in fields(value)}))
        return value

    def _members(self, members: Mapping[str, object]) -> dict[str, Any]:
        return {name: member if name in WORDS else self._hide(member) for name, member in members.items()}

    def _text(self, text: str) -> str:
        named = self._known.sub(lambda found: self._names[found[0].casefold()], text) if self._known else text
        return _HOMES.sub("~", self._home.sub("~", named) if self._home else named)

    def _argument(self, argument: str) -> str:
        """Shorten an argument of the command line: a URL without its path, a file without its folders."""
        return _FOLDERS.sub("…/", _WHOLE_URL.sub(r"\1/…", argument))


def _bare(host: str) -> str:
    """Return the host without port and brackets."""
    found = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([^:]+):\d+", host)
    return (found[1] or found[2]) if found else host.strip("[]")


def _forms(host: str) -> Iterator[str]:
    """Yield the host as it may be written, and the domains that it belongs to."""
    labels = host.split(".")
    domains = [] if _is_address(host) else [".".join(labels[i:]) for i in range(1, len(labels) - 1)]
    for name in (host, *domains, *([f"[{host}]"] if ":" in host else [])):
        yield from dict.fromkeys((name, quote(name, safe=""), name.replace(".", "%2E"), name.replace(".", "\\.")))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _pattern(form: str) -> str:
    """Match a name with a dot or a colon anywhere, a single word only where it stands alone."""
    if re.search(r"[.:%]", form):
        return re.escape(form)
    return rf"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{{2}})){re.escape(form)}(?![A-Za-z0-9])"


def _hosts_in_texts(summary: Summary) -> Iterator[str]:
    """Yield the hosts of addresses in any text of a summary."""
    manifest = {name: value for name, value in summary.manifest.items() if name not in MACHINE}
    for text in _texts(replace(summary, environment={}, manifest=manifest)):
        yield from (found[1] for found in _URL.finditer(text))
        yield from (found[0] for found in _IPV4.finditer(text) if _is_address(found[0]))
        yield from (found[1] for found in _IPV6.finditer(text) if _is_address(found[1]) and found[1] != "::")
        yield from (found[1] for found in _WITH_PORT.finditer(text) if found[2].lower() not in OF_FILES)
        yield from (found[1] for found in _PRIVATE.finditer(text))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _texts(pair)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))


def hosts_stored(runs: Iterable[Path]) -> Sequence[str]:
    """Return the hosts that the plans of these runs name."""
    plans = [records.read_json(folder / records.PLAN) for folder in runs if (folder / records.PLAN).is_file()]
    named = [one for plan in plans for part in ("targets", "cells") for one in plan.get(part) or ()]
    return [str(one["host"]) for one in named if not one.get("simulated") and one.get("host")]
