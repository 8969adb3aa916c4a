"""A verdict in a colleague's words: what happens, how sure, what it costs."""

from __future__ import annotations

from bench.analysis.wording import duration, milliseconds
from bench.doctor.advice import size_text
from bench.doctor.diagnosis import Floor, Mode
from bench.doctor.verdict.bursts import EVEN
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.votes import FLOORS

PIECE = {"text": "a piece", "tools": "a piece of the arguments", "structured": "a piece of the JSON"}


def happens(judged: Judgement, mode: Mode) -> str:
    """Describe what was seen."""
    match judged.verdict:
        case "streaming":
            return (
                f"A{PIECE[mode][1:]} each {_ms(judged.gap_ms)}, as it is made; the first after "
                f"{_ms(judged.first_ms)}, the last after {_ms(judged.whole_ms)}."
            )
        case "bursty":
            return _lumps(judged)
        case "fake":
            return _fake(judged)
        case "blocked":
            return (
                f"Nothing comes, not even the headers, before the answer is complete: {_ms(judged.first_ms)} of "
                f"silence, then all {judged.deltas} pieces within {_ms(judged.window_ms)}.{_by_length(judged)}"
            )
        case "not streaming":
            return f"A stream was asked for, and one JSON body came ({judged.because}), after {_ms(judged.whole_ms)}."
    return f"{judged.because[:1].upper()}{judged.because[1:]}." if judged.because else ""


def _lumps(judged: Judgement) -> str:
    pattern, shape = judged.pattern, judged.shape
    if pattern is None:
        bursts, pause = (shape.bursts, _ms(shape.pause_ms)) if shape else (2, "a while")
        return f"The answer comes in {bursts} lumps, with {pause} between them in which nothing comes."
    low, high = pattern.deltas
    count = f"{low}" if low == high else f"{low} to {high}"
    spread = f" ± {100 * pattern.even_bytes:.0f} %" if 0.005 <= pattern.even_bytes <= EVEN else ""
    return (
        f"The answer comes in lumps: {count} pieces every {_ms(pattern.period_ms)} (each time "
        f"{size_text(pattern.bytes)}{spread}), and nothing in between. "
        f"On average a piece is made each {_ms(judged.gap_ms)}."
    )


def _fake(judged: Judgement) -> str:
    if not judged.one_piece:
        return (
            f"The first piece comes when the answer is complete, after {_ms(judged.first_ms)} of "
            f"{_ms(judged.whole_ms)}; then one follows each {_ms(judged.gap_ms)}.{_by_length(judged)}"
        )
    pieces = "in one piece" if judged.deltas == 1 else f"all {judged.deltas} pieces within {_ms(judged.window_ms)}"
    headers = " The headers were there before." if not judged.headers_late else ""
    silence = f"Nothing of the answer comes for {_ms(judged.first_ms)}, then it is there"
    return f"{silence}: {pieces}.{headers}{_by_length(judged)}"


def _by_length(judged: Judgement) -> str:
    """Say when the first piece came at each length, the mark of a fake stream; "" with one length."""
    if len(judged.firsts) < 2:
        return ""
    said = ", ".join(f"{_ms(ms)} at up to {tokens} tokens" for tokens, ms in judged.firsts)
    return f" The longer the answer, the later its first piece: {said}."


def confidence(judged: Judgement, floor: Floor) -> str:
    """Say how sure the verdict is, and by what."""
    if judged.verdict in {"not offered", "inconclusive"}:
        return ""
    counted = f"{judged.agree} of {judged.telling} answers that can tell"
    word = "Sure" if judged.agree == judged.telling and judged.telling > 1 else "Likely"
    if judged.verdict in {"not streaming", "broken"}:
        return f"{word}: {judged.agree} of {judged.telling} answers."
    own = "" if floor.p90_ms is None else f" This machine itself was {milliseconds(floor.p90_ms)} late meanwhile (p90)"
    limit = f"; a pause counts from {_ms(judged.resolution_ms)} on."
    lumps = f", {judged.pattern.lumps} lumps" if judged.verdict == "bursty" and judged.pattern else ""
    if judged.verdict == "bursty" and judged.shape and judged.shape.pause_ms < 2 * judged.resolution_ms:
        word = "Likely"
    return f"{word}: {counted}{lumps}.{own}{limit if own else ''}"


def costs(judged: Judgement) -> str:
    """Say what the verdict means for the first token, the reader, and whoever measures."""
    match judged.verdict:
        case "bursty":
            pattern, shape = judged.pattern, judged.shape
            pause = pattern.period_ms if pattern else shape.pause_ms if shape else 0.0
            reader = f"Every piece waits for up to {_ms(pause)}."
            return " ".join(filter(None, [_first_held(judged), reader, _load_tool(judged)]))
        case "fake" | "blocked" if judged.could_be_ms is not None and judged.first_ms:
            sooner = judged.first_ms - judged.could_be_ms
            return (
                f"The first piece could come after about {_ms(judged.could_be_ms)}; an answer of this length shows it "
                f"{_ms(sooner)} later. Streaming buys nothing here, and the time to the first token looks like that of "
                "a slow model."
            )
        case "fake" | "blocked":
            return "Streaming buys nothing here: a blocking call shows the same, at the same time."
        case "not streaming":
            return "The user sees nothing before the whole answer."
    return ""


def _first_held(judged: Judgement) -> str:
    held = min((judged.first_burst - 1) * (judged.gap_ms or 0.0), judged.first_ms or 0.0)
    if held <= judged.resolution_ms or not judged.first_ms:
        return ""
    share = 100 * held / judged.first_ms
    return f"The first piece comes about {_ms(held)} later than it need ({share:.0f} % of its {_ms(judged.first_ms)})."


def _load_tool(judged: Judgement) -> str:
    """Say what a load tool would report, and so why the delay goes unnoticed."""
    if judged.itl_ms is None or judged.gap_ms is None or judged.itl_ms > 0.5 * judged.gap_ms:
        return ""
    seen = "under 0.01 ms" if judged.itl_ms < 0.01 else _ms(judged.itl_ms)
    return f"A load tool would report a median inter-token latency of {seen} and be pleased."


def instrument(floor: Floor) -> str:
    """Say what this machine itself adds."""
    if floor.p90_ms is None:
        return "What this machine itself adds is not known: the stream of known send times did not come."
    return (
        f"A stream of known send times, read by the same client at the same time, came {milliseconds(floor.p90_ms)} "
        f"late at p90 and {milliseconds(floor.most_ms or 0.0)} at most ({floor.n} beats); "
        f"pauses under {FLOORS} times that p90 count as none."
    )


def _ms(value: float | None) -> str:
    return "an unknown time" if value is None else duration(value)
