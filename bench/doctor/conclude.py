"""From what was read to the diagnosis. Pure, and after the last request: it imports what no measuring process may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from bench import __version__
from bench.core.scenario import Api
from bench.doctor import words
from bench.doctor.advice import advise
from bench.doctor.diagnosis import (
    ABSENT,
    HEALTHY,
    NAMES,
    UNDECIDED,
    Check,
    Curve,
    Delay,
    Diagnosis,
    Difference,
    Finding,
    Floor,
    Hop,
    Mode,
    Verdict,
)
from bench.doctor.probe.behind import UpstreamLog, path_delays, upstream_checks
from bench.doctor.probe.examine import Examination, Patient
from bench.doctor.probe.metronome import MachineLateness, quantile
from bench.doctor.products import server_text
from bench.doctor.verdict.hops import difference
from bench.doctor.verdict.judge import judge, share_nature
from bench.doctor.verdict.judged import Judgement
from bench.doctor.verdict.path import local_steps
from bench.doctor.verdict.properties import HopEvidence, checks, merge_checks
from bench.doctor.verdict.reading import Reading
from bench.doctor.verdict.votes import resolution, vote

EXIT_STREAMING, EXIT_NOT, EXIT_INCONCLUSIVE = 0, 1, 4
_MODES: Mapping[Mode, str] = {"text": "text", "tools": "tool arguments", "structured": "structured output"}


def conclude(
    patients: Sequence[Patient], found: Examination, *, again: str, requests: int, notes: Sequence[str]
) -> Diagnosis:
    """All that can be said. `requests`: that were sent before the examination; `again`: the command line."""
    lateness = found.lateness
    limit = resolution(lateness.p90)
    findings = [one for number in range(len(patients)) for one in _findings(patients, found, number, lateness)]
    hops = [_hop_with_server(patient, number, found.readings) for number, patient in enumerate(patients)]
    broken = sum(one.is_broken for one in found.readings)
    unsound = f"{broken} of {len(found.readings)} answers were not sound" if broken else ""
    told = [one.tokens for one in found.readings if one.tokens is not None]
    return Diagnosis(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        hops=hops,
        answer=answer(findings, unsound),
        findings=findings,
        checks=[check for number in range(len(patients)) for check in _checks(patients, found, number, limit)],
        differences=list(_differences(findings, found.readings, hops)),
        added=[one for number in range(len(patients)) for one in _added(patients, found, number)],
        floor=_floor(lateness),
        requests=requests + found.requests,
        tokens=sum(told) if told else None,
        notes=notes,
        again=again,
        exit_code=EXIT_NOT if unsound else exit_code(findings),
    )


def _hop_with_server(patient: Patient, number: int, readings: Sequence[Reading]) -> Hop:
    """With what its headers say that it is."""
    said = next((text for one in readings if one.hop == number and (text := server_text(one.headers))), "")
    return Hop(name=patient.hop.name, base_url=patient.hop.base_url, model=patient.hop.model, server=said)


def _findings(
    patients: Sequence[Patient], found: Examination, number: int, lateness: MachineLateness
) -> Iterator[Finding]:
    """Of one hop, by API and mode in the order in which they were asked."""
    hop, limit = patients[number].hop.name, resolution(lateness.p90)
    mine = [one for one in found.readings if one.hop == number]
    by_kind: dict[tuple[Api, Mode], list[Reading]] = {}
    for one in mine:
        by_kind.setdefault((one.question.api, one.question.mode), []).append(one)
    texts = {api: judge(readings, None, limit) for (api, mode), readings in by_kind.items() if mode == "text"}
    judged = [
        texts[api] if mode == "text" else judge(readings, texts.get(api), limit)
        for (api, mode), readings in by_kind.items()
    ]
    for ((api, mode), readings), said in zip(by_kind.items(), share_nature(judged), strict=True):
        plain = _plain(found, number, api, limit)
        yield finding(hop, api, mode, said, readings, plain, lateness=lateness, behind=found.behind)


def finding(
    hop: str,
    api: Api,
    mode: Mode,
    judged: Judgement,
    readings: Sequence[Reading],
    plain: Verdict | None,
    *,
    lateness: MachineLateness,
    behind: UpstreamLog | None,
) -> Finding:
    """The verdict with its words."""
    shown = _longest_answer(readings)
    advice = advise(judged, mode, shown.headers if shown else {}, plain)
    return Finding(
        hop=hop,
        api=api,
        mode=mode,
        verdict=judged.verdict,
        happens=words.happens(judged, mode),
        sure=words.confidence(judged, lateness),
        why=advice.why,
        costs=words.costs(judged),
        change=advice.change,
        numbers=numbers(judged),
        curve=_curve(hop, judged, shown, behind) if shown and shown.arrivals else None,
    )


def _longest_answer(readings: Sequence[Reading]) -> Reading | None:
    """The longest answer, of those the first: whose headers and curve stand for all."""
    return max(readings, key=lambda one: (one.is_whole, one.chars), default=None)


def _plain(found: Examination, hop: int, api: Api, limit: float) -> Verdict | None:
    """What a compressed answer is without compression."""
    mine = [one for one in found.plain if (one.hop, one.question.api) == (hop, api)]
    return _verdict_of_one(mine[0], limit) if mine else None


def _verdict_of_one(reading: Reading, limit: float) -> Verdict | None:
    if not (reading.is_whole and reading.deltas):
        return None
    found: dict[str, Verdict] = {"even": "streaming", "bursty": "bursty"}
    return found.get(vote(reading, limit))


def _curve(hop: str, judged: Judgement, shown: Reading, behind: UpstreamLog | None) -> Curve:
    upstream = behind.upstream.get(shown.nonce, ()) if behind else ()
    sent = local_steps(upstream[-1], behind.offset) if behind and upstream else ()
    return Curve(
        label=f"{shown.question.api}, {shown.question.mode}",
        hop=hop,
        verdict=judged.verdict,
        arrivals=[((time - shown.t_sent) / 1e6, chars) for time, chars in shown.arrivals],
        headers_ms=shown.headers_ms,
        end_ms=shown.end_ms,
        sent=[((time - shown.t_sent) / 1e6, chars) for time, chars in sent],
    )


def numbers(judged: Judgement) -> dict[str, float | int | str | None]:
    """The evidence, for machines."""
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


def _checks(patients: Sequence[Patient], found: Examination, number: int, limit: float) -> list[Check]:
    name = patients[number].hop.name
    seen = HopEvidence(
        hop=name,
        readings=[one for one in found.readings if one.hop == number],
        plain=[(one, _verdict_of_one(one, limit)) for one in found.plain if one.hop == number],
        unannounced=found.unannounced.get(number, 0),
        no_usage=number in found.no_usage,
        h2=found.h2.get(number),
    )
    own = checks(seen)
    if found.behind:
        return merge_checks(own, upstream_checks(found.behind, number, name, found.readings))
    unseen = "How soon a cancel stops the server cannot be seen from here: --sim-behind shows it."
    return [*own, Check(hop=name, name="cancel", state="unknown", said=unseen)]


def _differences(findings: Sequence[Finding], readings: Sequence[Reading], hops: Sequence[Hop]) -> Iterator[Difference]:
    """Each later hop to the first."""
    base = {(one.api, one.mode): one for one in findings if one.hop == hops[0].name}
    for number, hop in enumerate(hops[1:], 1):
        for one in findings:
            if one.hop == hop.name and (one.api, one.mode) in base:
                yield difference(base[one.api, one.mode], one, readings, (0, number))


def _added(patients: Sequence[Patient], found: Examination, number: int) -> Iterator[Delay]:
    if found.behind:
        yield from path_delays(found.behind, number, patients[number].hop.name, found.readings)


def _floor(lateness: MachineLateness) -> Floor:
    return Floor(
        p50_ms=lateness.p50,
        p90_ms=lateness.p90,
        most_ms=lateness.most,
        n=lateness.n,
        sentence=words.instrument(lateness),
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """0 where everything that is offered streams, 1 where something does not, 4 where nothing bad was seen but not all
    could be told."""
    verdicts = {one.verdict for one in findings} - {ABSENT}
    if verdicts - {HEALTHY, UNDECIDED}:
        return EXIT_NOT
    return EXIT_STREAMING if verdicts == {HEALTHY} else EXIT_INCONCLUSIVE


def answer(findings: Sequence[Finding], unsound: str = "") -> str:
    """The whole in a sentence; with several hops, whose doing it is. `unsound`: what else is not in order."""
    by_hop: dict[str, list[Finding]] = {}
    for one in findings:
        by_hop.setdefault(one.hop, []).append(one)
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
    """What it does; with what of it, where that differs."""
    by_verdict: dict[Verdict, list[Finding]] = {}
    for one in findings:
        by_verdict.setdefault(one.verdict, []).append(one)
    judged = {verdict: some for verdict, some in by_verdict.items() if verdict != ABSENT}
    if not judged:
        return f"{hop} offers nothing of what was asked for"
    if len(judged) == 1:
        return f"{hop} {_WORDS[next(iter(judged))]}"
    return f"{hop} " + ", ".join(f"{_WORDS[verdict]} ({_modes_text(some)})" for verdict, some in judged.items())


_WORDS: Mapping[Verdict, str] = {
    "streaming": "streams",
    "bursty": "delivers in lumps",
    "fake": "sends answers that were complete before they began",
    "blocked": "holds answers until they are complete",
    "not streaming": "does not stream",
    "broken": "sends broken streams",
    "inconclusive": "is inconclusive",
}


def _modes_text(findings: Sequence[Finding]) -> str:
    """`Responses text, Chat text and tool arguments`."""
    apis = dict.fromkeys(one.api for one in findings)
    modes = {api: [_MODES[one.mode] for one in findings if one.api == api] for api in apis}
    return ", ".join(f"{NAMES[api]} {' and '.join(some)}" for api, some in modes.items())
