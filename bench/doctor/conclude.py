"""Turn the readings of an examination into a `Diagnosis`, after the last request: it imports scipy and pandas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from bench import __version__
from bench.core.scenario import Api
from bench.doctor import explain
from bench.doctor.advice import advise
from bench.doctor.diagnosis import (
    ABSENT,
    HEALTHY,
    NAMES,
    UNDECIDED,
    Check,
    Curve,
    Diagnosis,
    Finding,
    Floor,
    Mode,
    Verdict,
    group_by,
)
from bench.doctor.probe.examine import Examination, Patient
from bench.doctor.probe.reference_stream import quantile
from bench.doctor.probe.upstream import UpstreamLog, path_delays, upstream_checks
from bench.doctor.products import server_text
from bench.doctor.verdict.hops import difference
from bench.doctor.verdict.judge import judge, share_nature
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.path import local_steps
from bench.doctor.verdict.properties import HopEvidence, checks, merge_checks
from bench.doctor.verdict.reading import Reading
from bench.doctor.verdict.votes import resolution, vote

EXIT_STREAMING, EXIT_NOT, EXIT_INCONCLUSIVE = 0, 1, 4
_MODES: Mapping[Mode, str] = {"text": "text", "tools": "tool arguments", "structured": "structured output"}
_WORDS: Mapping[Verdict, str] = {
    "streaming": "streams",
    "bursty": "delivers in lumps",
    "fake": "sends answers that were complete before they began",
    "blocked": "holds answers until they are complete",
    "not streaming": "does not stream",
    "broken": "sends broken streams",
    "inconclusive": "is inconclusive",
}


def conclude(
    patients: Sequence[Patient], found: Examination, *, again: str, requests: int, notes: Sequence[str]
) -> Diagnosis:
    """Judge each hop and collect the results.

    `requests`: how many were sent before the examination. `again`: the command line that repeats it.
    """
    floor = found.floor
    servers = {one.hop: text for one in reversed(found.readings) if (text := server_text(one.headers))}
    hops = [replace(one.hop, server=servers.get(number, "")) for number, one in enumerate(patients)]
    findings = [one for number, hop in enumerate(hops) for one in _findings(hop.name, number, found, floor)]
    broken = sum(one.is_broken for one in found.readings)
    unsound = f"{broken} of {len(found.readings)} answers were not sound" if broken else ""
    tokens = [one.tokens for one in found.readings if one.tokens is not None]
    return Diagnosis(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        hops=hops,
        answer=answer(findings, unsound),
        findings=findings,
        checks=[check for number, hop in enumerate(hops) for check in _checks(hop.name, number, found, floor)],
        differences=[
            difference(base, other, found.readings, (0, number))
            for number, hop in enumerate(hops[1:], 1)
            for other in findings
            for base in findings
            if (base.hop, other.hop) == (hops[0].name, hop.name) and base.label == other.label
        ],
        added=[
            delay
            for number, hop in enumerate(hops)
            if found.upstream
            for delay in path_delays(found.upstream, number, hop.name, found.readings)
        ],
        floor=replace(floor, sentence=explain.instrument(floor)),
        requests=requests + found.requests,
        tokens=sum(tokens) if tokens else None,
        notes=notes,
        again=again,
        exit_code=EXIT_NOT if unsound else exit_code(findings),
    )


def _findings(hop: str, number: int, found: Examination, floor: Floor) -> Iterator[Finding]:
    """Judge one hop by API and mode, in the order in which they were asked."""
    limit = resolution(floor.p90_ms)
    mine = [one for one in found.readings if one.hop == number]
    kinds = group_by(mine, lambda one: (one.question.api, one.question.mode))
    texts = {api: judge(readings, None, limit) for (api, mode), readings in kinds.items() if mode == "text"}
    judged = [
        texts[api] if mode == "text" else judge(readings, texts.get(api), limit)
        for (api, mode), readings in kinds.items()
    ]
    for ((api, mode), readings), judgement in zip(kinds.items(), share_nature(judged), strict=True):
        # headers and curve of the longest answer stand for all
        longest = max(readings, key=lambda one: (one.is_whole, one.chars))
        plain = next((one for one in found.plain if (one.hop, one.question.api) == (number, api)), None)
        advice = advise(judgement, mode, longest.headers, _single_verdict(plain, limit) if plain else None)
        yield Finding(
            hop=hop,
            api=api,
            mode=mode,
            verdict=judgement.verdict,
            happens=explain.happens(judgement, mode),
            sure=explain.confidence(judgement, floor),
            why=advice.why,
            costs=explain.costs(judgement),
            change=advice.change,
            numbers=numbers(judgement),
            curve=_curve(hop, judgement.verdict, longest, found.upstream) if longest.arrivals else None,
        )


def _single_verdict(reading: Reading, limit: float) -> Verdict | None:
    """Return what one answer alone shows; None where that is neither a stream nor lumps."""
    if not (reading.is_whole and reading.deltas):
        return None
    verdicts: dict[str, Verdict] = {"even": "streaming", "bursty": "bursty"}
    return verdicts.get(vote(reading, limit))


def _curve(hop: str, verdict: Verdict, reading: Reading, log: UpstreamLog | None) -> Curve:
    responses = log.responses.get(reading.nonce, ()) if log else ()
    sent = local_steps(responses[-1], log.offset) if log and responses else ()
    return Curve(
        label=f"{reading.question.api}, {reading.question.mode}",
        hop=hop,
        verdict=verdict,
        arrivals=[((time - reading.t_sent) / 1e6, chars) for time, chars in reading.arrivals],
        headers_ms=reading.headers_ms,
        end_ms=reading.end_ms,
        sent=[((time - reading.t_sent) / 1e6, chars) for time, chars in sent],
    )


def numbers(judged: Judgement) -> dict[str, float | int | str | None]:
    """Return the evidence by the names that the JSON has."""
    pattern, shape = judged.pattern, judged.shape
    return {
        "answers": judged.answers,
        "telling": judged.telling,
        "agree": judged.agree,
        "because": judged.because,
        "deltas": judged.deltas,
        "headers_ms": judged.headers_ms,
        "first_byte_ms": judged.first_byte_ms,
        "first_ms": judged.first_ms,
        **{f"first_ms_at_{tokens}_tokens": ms for tokens, ms in judged.firsts},
        "whole_ms": judged.whole_ms,
        "window_ms": judged.window_ms,
        "gap_ms": judged.gap_ms,
        "gap_p50_ms": judged.itl_ms,
        "gap_p90_ms": quantile(judged.gaps_ms, 0.9),
        "gap_most_ms": quantile(judged.gaps_ms, 1.0),
        "reads_per_delta": judged.reads_per_delta,
        "first_without_length_ms": judged.could_be_ms,
        "typical_burst_deltas": shape.typical if shape else None,
        "held_share": shape.held if shape else None,
        "pause_ms": shape.pause_ms if shape else None,
        "lumps": pattern.lumps if pattern else None,
        "lump_deltas_low": pattern.deltas[0] if pattern else None,
        "lump_deltas_high": pattern.deltas[1] if pattern else None,
        "lump_period_ms": pattern.period_ms if pattern else None,
        "lump_bytes": pattern.bytes if pattern else None,
        "lump_nature": judged.nature if judged.verdict == "bursty" else None,
        "resolution_ms": judged.resolution_ms or None,
    }


def _checks(hop: str, number: int, found: Examination, floor: Floor) -> list[Check]:
    limit = resolution(floor.p90_ms)
    evidence = HopEvidence(
        hop=hop,
        readings=[one for one in found.readings if one.hop == number],
        plain=[(one, _single_verdict(one, limit)) for one in found.plain if one.hop == number],
        unannounced=found.unannounced.get(number, 0),
        no_usage=number in found.no_usage,
        h2=found.h2.get(number),
    )
    if found.upstream:
        return merge_checks(checks(evidence), upstream_checks(found.upstream, number, hop, found.readings))
    unseen = "How soon a cancel stops the server cannot be seen from here: --sim-behind shows it."
    return [*checks(evidence), Check(hop=hop, name="cancel", state="unknown", said=unseen)]


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 if everything on offer streams, 1 if something does not, 4 if not all of it could be told."""
    verdicts = {one.verdict for one in findings} - {ABSENT}
    if verdicts - {HEALTHY, UNDECIDED}:
        return EXIT_NOT
    return EXIT_STREAMING if verdicts == {HEALTHY} else EXIT_INCONCLUSIVE


def answer(findings: Sequence[Finding], unsound: str = "") -> str:
    """Sum the findings up in a sentence that names the hop at fault. `unsound`: what else is not in order."""
    by_hop = group_by(findings, lambda one: one.hop)
    bad = [hop for hop, mine in by_hop.items() if exit_code(mine) == EXIT_NOT]
    sure = [hop for hop, mine in by_hop.items() if exit_code(mine) == EXIT_STREAMING]
    said = "; ".join(_hop_clause(hop, mine) for hop, mine in by_hop.items())
    if unsound and not bad:
        return f"Not always: {said}, but {unsound}."
    if not bad:
        some = any(one.verdict == HEALTHY for one in findings)
        lead = "Yes" if len(sure) == len(by_hop) else "Yes, as far as can be told" if some else "That cannot be told"
        return f"{lead}: {said}."
    first = next(iter(by_hop))
    if len(by_hop) > 1 and first in sure:
        return f"No, and it is {' and '.join(bad)}: {said}."
    if len(by_hop) > 1 and first in bad:
        return f"No, and {first} is at it already: {said}."
    return f"No: {said}."


def _hop_clause(hop: str, findings: Sequence[Finding]) -> str:
    """Say what a hop does; where its modes differ, which of them does what."""
    judged = group_by((one for one in findings if one.verdict != ABSENT), lambda one: one.verdict)
    if not judged:
        return f"{hop} offers nothing of what was asked for"
    if len(judged) == 1:
        return f"{hop} {_WORDS[next(iter(judged))]}"
    return f"{hop} " + ", ".join(f"{_WORDS[verdict]} ({_modes_text(some)})" for verdict, some in judged.items())


def _modes_text(findings: Sequence[Finding]) -> str:
    """`Responses text, Chat text and tool arguments`."""
    apis: dict[Api, list[Finding]] = group_by(findings, lambda one: one.api)
    return ", ".join(f"{NAMES[api]} {' and '.join(_MODES[one.mode] for one in some)}" for api, some in apis.items())
