"""List what else differs between two runs, and refuse runs whose numbers do not mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bench.core.errors import BenchError
from bench.core.results.summary import Summary

MACHINE = ("cpu_model", "cpus", "platform")
PROGRAMS = ("python", "streambench", "openai")
SETTINGS = ("max_retries", "deadline_s")
SENT = {"output_tokens": "output tokens asked for", "temperature": "temperature"}
DAY = 86_400.0
CAVEATS = ("INVALID", "CAUTION")


def refuse_other_kinds(baseline: Summary, current: Summary) -> None:
    """Raise `BenchError` where the numbers of the two runs do not mean the same."""
    names = run_name(baseline), run_name(current)
    schemas = [str(summary.manifest.get("schema_version", "none")) for summary in (baseline, current)]
    if len({schema.partition(".")[0] for schema in schemas}) > 1:
        raise BenchError(
            f"{names[0]} has records of schema {schemas[0]}, {names[1]} of {schemas[1]}: they cannot be compared; "
            "measure one of them again"
        )
    if other := redefined_metrics(baseline.manifest, current.manifest):
        shown = ", ".join(other[:4]) + (f" and {len(other) - 4} more" if len(other) > 4 else "")
        raise BenchError(
            f"{names[0]} and {names[1]} were measured by other definitions of {shown}; measure one of them again "
            "with the version of the other"
        )


def redefined_metrics(baseline: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """List the metrics that both manifests define, each in its own way."""
    one, other = (manifest.get("definitions") or {} for manifest in (baseline, current))
    return sorted(name for name in one.keys() & other.keys() if one[name] != other[name])


def run_name(summary: Summary) -> str:
    """Return the run's name, else its id."""
    return str(summary.manifest.get("name") or summary.manifest.get("run_id") or "a run")


def watermarks(baseline: Summary, current: Summary) -> Iterator[str]:
    """Yield what else differs, each as a sentence without its full stop."""
    one, other = baseline.manifest, current.manifest
    yield from _kinds(baseline, current)
    yield from _trust(baseline, current)
    yield from _unlike("another machine", *(_part(m, "environment", MACHINE) for m in (one, other)))
    yield from _unlike("other versions", *(_part(m, "versions", PROGRAMS) for m in (one, other)))
    yield from _unlike("other settings", _settings(one), _settings(other))
    yield from _days(one, other)
    if not (one.get("definitions") and other.get("definitions")):
        yield "an older run does not say by which definitions it was measured"


def _kinds(baseline: Summary, current: Summary) -> Iterator[str]:
    """Yield differences in where the two runs were made: simulated or real, the host, the simulator's profile."""
    sides = [{cell.simulated for cell in summary.cells} for summary in (baseline, current)]
    if sides[0] != sides[1]:
        yield f"simulated against real: {baseline.headline}, then {current.headline}"
        return
    hosts = [sorted({cell.host for cell in summary.cells}) for summary in (baseline, current)]
    if hosts[0] != hosts[1]:
        yield f"another host: {', '.join(hosts[0])}, then {', '.join(hosts[1])}"
    told = [(summary.manifest.get("simulator") or {}).get("profile") for summary in (baseline, current)]
    if told[0] != told[1]:
        yield f"another profile of the simulator: {told[0]}, then {told[1]}"


def _trust(baseline: Summary, current: Summary) -> Iterator[str]:
    for side, summary in (("baseline", baseline), ("current run", current)):
        if summary.trust.verdict in CAVEATS:
            yield f"{summary.trust.verdict} {side}: {summary.trust.sentence.rstrip('.')}"
        if (ended := summary.manifest.get("ended")) != "finished":
            yield f"the {side} is partial: {ended or 'it was killed'}"


def _part(manifest: Mapping[str, Any], group: str, names: tuple[str, ...]) -> dict[str, Any]:
    values = manifest.get(group) or {}
    return {name: values.get(name) for name in names}


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was asked of every request; of each target, where both runs have it by the same name."""
    settings = manifest.get("settings") or {}
    sent = settings.get("sent") or {}
    asked = {
        f"{text}{f' of {target}' if len(sent) > 1 else ''}": options.get(name)
        for target, options in sent.items()
        for name, text in SENT.items()
    }
    return {**{name: settings.get(name) for name in SETTINGS}, **asked}


def _unlike(what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs as `another machine: cpus 2, then 8`; values that one side does not have are passed over."""
    told = [
        name for name in one.keys() & other.keys() if one[name] != other[name] and None not in (one[name], other[name])
    ]
    either = [name for name in one.keys() & other.keys() if (one[name] is None) != (other[name] is None)]
    names = sorted([*told, *(either if what == "other settings" else [])])
    if names:
        yield f"{what}: " + ", ".join(f"{name} {_text(one[name])}, then {_text(other[name])}" for name in names)


def _text(value: object) -> str:
    return "not set" if value is None else str(value)


def _days(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    times = [_parse_time(manifest.get("created")) for manifest in (one, other)]
    if times[0] and times[1]:
        apart = abs((times[1] - times[0]).total_seconds()) / DAY
        if apart >= 1:
            days = "1 day" if round(apart) == 1 else f"{apart:.0f} days"
            yield f"{days} apart: what differs between days is in no interval"


def _parse_time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
