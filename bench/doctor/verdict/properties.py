"""Check a hop's connections and streams, property by property, from all its readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.analysis.wording import milliseconds
from bench.doctor.diagnosis import NAMES, Check, State, Verdict
from bench.doctor.verdict.reading import EVENT_STREAM, Reading


@dataclass(frozen=True, kw_only=True)
class HopEvidence:
    """All that was seen of one hop."""

    hop: str
    readings: Sequence[Reading]
    plain: Sequence[tuple[Reading, Verdict | None]] = ()
    """Compressed answers once more without compression, and what they say."""
    unannounced: int = 0
    no_usage: bool = False
    h2: bool | None = None

    @property
    def streams(self) -> list[Reading]:
        """The answers that came as streams."""
        return [one for one in self.readings if one.kind == "stream" and one.deltas]


Said = tuple[State, str]


def checks(seen: HopEvidence) -> list[Check]:
    """Check every property that was there to be seen."""
    found = ((name, check(seen)) for name, check in CHECKS.items())
    return [Check(hop=seen.hop, name=name, state=said[0], said=said[1]) for name, said in found if said]


def _keep_alive(seen: HopEvidence) -> Said | None:
    later = [one for one in seen.readings if one.status is not None][1:]
    if not later:
        return None
    reused = sum(one.reused for one in later)
    opening = [one.connect_ms for one in later if one.connect_ms is not None]
    if seen.unannounced:
        return "note", (
            f"{seen.unannounced} kept connections were closed without a word before the next request was sent; the SDK "
            "would have to try again."
        )
    if reused >= 0.9 * len(later):
        return "good", f"{reused} of {len(later)} later requests went over a connection that was open."
    cost = f", {milliseconds(median(opening))} each" if opening else ""
    return "bad", (
        f"{len(later) - reused} of {len(later)} later requests needed a new connection{cost}: let it keep them open "
        "(Connection: keep-alive, a keep-alive timeout of a minute or more)."
    )


def _http(seen: HopEvidence) -> Said | None:
    versions = sorted({one.http_version for one in seen.readings if one.http_version})
    if not versions:
        return None
    offers = {True: "; it offers HTTP/2 as well", False: "; it offers no HTTP/2", None: ""}[seen.h2]
    names = " and ".join(versions)
    if "HTTP/1.0" in versions:
        return "bad", f"It answers with {names}: no keep-alive, and a cut stream looks like an ended one."
    return "good", f"{names}{offers}."


def _content_type(seen: HopEvidence) -> Said | None:
    types = {one.headers.get("content-type", "missing") for one in seen.readings if one.kind == "stream"}
    if not types:
        return None
    wrong = sorted(one for one in types if not one.lower().startswith(EVENT_STREAM))
    if wrong:
        return "bad", f"{', '.join(wrong)} on a stream; it has to be {EVENT_STREAM}."
    return "good", f"{', '.join(sorted(types))}."


def _compression(seen: HopEvidence) -> Said | None:
    if not seen.streams:
        return None
    encodings = {one.encoding for one in seen.streams} - {""}
    if not encodings:
        return "good", "Streams are not compressed."
    said = f"Streams are compressed ({', '.join(sorted(encodings))})"
    verdicts = {verdict for _, verdict in seen.plain}
    if verdicts == {"streaming"}:
        return "note", f"{said}; without compression they stream: leave {EVENT_STREAM} out of what is compressed."
    return "note", f"{said}: each event has to be flushed through the compressor, which few do."


def _cache(seen: HopEvidence) -> Said | None:
    if not seen.streams:
        return None
    said = {one.headers.get("cache-control", "") for one in seen.streams}
    if all("no-cache" in one or "no-store" in one for one in said):
        return "good", f"Cache-Control: {', '.join(sorted(said))}."
    return "note", "No Cache-Control: no-cache on streams; a cache on the way may want to see the whole answer first."


def _pings(seen: HopEvidence) -> Said | None:
    if not seen.streams:
        return None
    pings = sum(one.pings for one in seen.streams)
    if pings:
        return "good", f"{pings} comment lines keep the connection alive while nothing is said."
    silence = max((one.first_ms or 0.0) for one in seen.streams) / 1000
    return "note" if silence > 10 else "unknown", (
        f"No comment lines were sent; the longest silence before a first piece was {silence:.1f} s. Proxies end "
        "connections that are silent for 30 to 60 s."
    )


def _numbers(seen: HopEvidence) -> Said | None:
    of_responses = [one for one in seen.streams if one.question.api == "responses" and one.is_whole]
    if not of_responses:
        return None
    found = {one.numbered for one in of_responses}
    if "gaps" in found:
        return "bad", "The sequence numbers of the events have gaps: events were lost or reordered on the way."
    if found == {"whole"}:
        return "good", "Every event has its sequence_number, without gaps."
    return "note", "Not every event has a sequence_number: a stream that broke cannot be resumed from where it was."


def _usage(seen: HopEvidence) -> Said | None:
    found: list[str] = []
    for api, name in NAMES.items():
        whole = [one for one in seen.streams if one.question.api == api and one.is_whole]
        told = sum(one.tokens is not None for one in whole)
        if whole and told < len(whole):
            found.append(f"{name} ({len(whole) - told} of {len(whole)} streams)")
    if seen.no_usage:
        return "note", "Chat refuses stream_options, so its streams do not say how many tokens they took."
    if found:
        return "note", f"Token counts are missing at the end of streams: {', '.join(found)}."
    return ("good", "Streams end with their token counts.") if seen.streams else None


def _done_marker(seen: HopEvidence) -> Said | None:
    of_chat = [one for one in seen.streams if one.question.api == "chat" and one.is_whole]
    if not of_chat:
        return None
    if all(one.done for one in of_chat):
        return "good", "Chat streams end with [DONE]."
    return "note", "Chat streams end without [DONE]; some clients wait for it."


def _tools(seen: HopEvidence) -> Said | None:
    calls = [one for one in seen.streams if one.question.mode == "tools"]
    if not calls:
        return None
    in_one = [NAMES[one.question.api] for one in calls if one.deltas == 1]
    if in_one:
        return "bad", f"They come in one piece ({', '.join(dict.fromkeys(in_one))}): nothing of a call is seen early."
    return "good", f"They are streamed, in {int(median(one.deltas for one in calls))} pieces."


def _structured_output(seen: HopEvidence) -> Said | None:
    answers = [one for one in seen.streams if one.question.mode == "structured"]
    if not answers:
        return None
    if any(one.deltas == 1 for one in answers):
        return "bad", "It comes in one piece: nothing of it is seen early."
    return "good", f"It is streamed, in {int(median(one.deltas for one in answers))} pieces."


def _retry_after(seen: HopEvidence) -> Said | None:
    limited = [one for one in seen.readings if one.kind == "limited"]
    if not limited:
        return "unknown", "No 429 came, so its Retry-After was not seen."
    told = [after for one in limited if (after := one.headers.get("retry-after") or one.headers.get("retry-after-ms"))]
    if told:
        return "good", f"429 came {len(limited)} times, with Retry-After: {told[0]}."
    return "bad", f"429 came {len(limited)} times, without Retry-After: clients can only guess when to come back."


def _sound(seen: HopEvidence) -> Said | None:
    wrong = [one for one in seen.readings if one.is_broken]
    if not wrong:
        return None
    first = f"{NAMES[wrong[0].question.api]}: {wrong[0].wrong}"
    return "bad", f"{len(wrong)} of {len(seen.readings)} answers were not sound; {first}."


CHECKS: Mapping[str, Callable[[HopEvidence], Said | None]] = {
    "sound streams": _sound,
    "content type": _content_type,
    "compression": _compression,
    "keep-alive": _keep_alive,
    "HTTP version": _http,
    "cache headers": _cache,
    "pings": _pings,
    "sequence_number": _numbers,
    "usage": _usage,
    "[DONE]": _done_marker,
    "tool arguments": _tools,
    "structured output": _structured_output,
    "retry headers": _retry_after,
}
"""The checks by name, in the order of the report."""


def merge_checks(found: Sequence[Check], more: Sequence[Check]) -> list[Check]:
    """Return `found` with `more` added; a check in `more` replaces those of the same hop and name."""
    better = {(one.hop, one.name) for one in more}
    return [*(one for one in found if (one.hop, one.name) not in better), *more]
