"""Why a stream is held up, and which line to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.doctor.diagnosis import Fix, Mode, Verdict
from bench.doctor.products import Product, products_named
from bench.doctor.verdict.bursts import Nature
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.votes import OFTEN

NAGLE_MS = (35.0, 45.0)
"""Linux delays an acknowledgement by 40 ms at least, and Nagle's algorithm waits for it (RFC 896, RFC 1122 4.2.3.2)."""
BUFFERS = (4096, 8192, 16384, 32768, 65536)
NEAR = 0.08
"""A lump this close to a power of two, as a share of it, has that size: chunk framing and cut events are in it too."""
IN_APP = Fix(
    where="or in the application, as a response header",
    lines=("X-Accel-Buffering: no",),
    note="nginx then passes this answer on unbuffered, unless it has proxy_ignore_headers X-Accel-Buffering.",
)
NO_BUFFER = Fix(
    where="each proxy between here and the model, and the application",
    note="Turn off response buffering for text/event-stream, and flush after each event. Ask each hop by itself: "
    "`bench doctor` takes --base-url several times and says which one it is.",
)
NO_DELAY = Fix(
    where="the server, or the proxy next to it",
    lines=("setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, 1)",),
    note="In nginx: tcp_nodelay on; (the default). Write an event with one call, not with several.",
)
UNCOMPRESS = Fix(
    where="whatever compresses: the server, a middleware, a proxy or a CDN",
    note="Leave text/event-stream out of the types to be compressed, or flush the compressor after each event. The "
    "response header Cache-Control: no-cache, no-transform asks proxies to leave it alone.",
)
NO_GENERATING_FIRST = Fix(
    where="the gateway, or the application",
    note="Look for what needs the whole answer: an output guardrail or moderation, a cache that answers, a retry or "
    "fallback wrapper, a model marked as not streaming, or code that awaits the answer before it returns the stream.",
)
LARGER = Fix(
    where="to tell it from a buffer that is larger than the answers",
    lines=("--output-tokens 2000",),
    note="A buffer then shows itself as lumps of one size.",
)
NO_WHOLE_BODY = Fix(
    where="the outermost gateway",
    note="Something wants the whole answer before it lets anything through: an API gateway without response streaming, "
    "a web application firewall or virus scanner that inspects responses, or a function that returns a body.",
)
LET_STREAM = Fix(
    where="the gateway, or the server",
    note='See that "stream": true reaches the model (a schema that drops unknown fields, a mapping of parameters), and '
    "that this model may stream.",
)
TOOL_PARSER = Fix(
    where="the model's server",
    note="Its parser waits for the whole call before it sends any of it. Where there is a streaming parser for the "
    "model, choose that; else show the user that a call is being made.",
)
_BROKEN: Mapping[str, Fix] = {
    "content type": Fix(
        where="the application", lines=("Content-Type: text/event-stream",), note="Browsers take nothing else."
    ),
    "terminal": Fix(
        where="the server and each proxy",
        note="See their logs for a worker that died and for a timeout on whole answers (in nginx proxy_read_timeout, "
        "60s between two reads; load balancers often have an idle timeout). The SDK does not notice: it just ends.",
    ),
    "connection ended": Fix(
        where="the server and each proxy",
        note="See their logs for a worker that died, a timeout, or a limit on the size of an answer.",
    ),
    "malformed": Fix(
        where="whatever rewrites events", note="Each event is lines of `data: ` with JSON, and a blank line."
    ),
}


class Advice(NamedTuple):
    """The likely cause, and what to do."""

    why: str
    change: Sequence[Fix]


def advise(judged: Judgement, mode: Mode, headers: Mapping[str, str], plain: Verdict | None) -> Advice:
    """Name cause and changes for a verdict that is not healthy.

    `plain`: the verdict on the same request without compression, where the answer was compressed.
    """
    found = products_named(headers)
    compressed = headers.get("content-encoding", "identity")
    held = judged.verdict in {"bursty", "fake", "blocked"}
    if held and compressed not in {"", "identity"} and plain is not None and plain != judged.verdict:
        why = f"The answer is compressed ({compressed}), and the compressor holds it back: {_WITHOUT[plain]}"
        own = [one.uncompress for one in found if one.uncompress]
        return Advice(why, [*(own or [UNCOMPRESS]), *(_unbuffer(found) if plain == "bursty" else [])])
    match judged.verdict:
        case "bursty":
            return _lumps(judged, found)
        case "fake" if mode == "tools":
            return Advice("The call is parsed as a whole before any of it is sent.", [TOOL_PARSER])
        case "fake":
            return _fake(judged, found)
        case "blocked":
            why = "Something collects the whole answer, headers and all, and lets it through when it is complete."
            return Advice(_with_habits(why, found), [*_unbuffer(found), NO_WHOLE_BODY, LARGER])
        case "not streaming":
            why = "The server does not know `stream`, or something on the way took it out of the request."
            return Advice(_with_habits(why, found), [LET_STREAM])
        case "broken":
            return Advice("", [fix for word, fix in _BROKEN.items() if word in judged.because][:1])
    return Advice("", [])


_WITHOUT: Mapping[Verdict, str] = {
    "streaming": "without compression it streams.",
    "bursty": "without compression it comes in lumps, so there is a buffer as well.",
}
"""What an answer without compression does, by its verdict."""


def _lumps(judged: Judgement, found: Sequence[Product]) -> Advice:
    # The texts name no figures, so that what several modes have in common is said once.
    nature = judged.nature
    if judged.pattern and nature == "time" and NAGLE_MS[0] <= judged.pattern.period_ms <= NAGLE_MS[1]:
        return Advice(_NAGLE, [NO_DELAY])
    why = _WHY[nature]
    if nature == "size":
        why += _CUT if judged.pattern is None or judged.pattern.inside >= OFTEN else ", whatever the time between them."
    return Advice(_with_habits(why, found), _unbuffer(found) or [NO_BUFFER])


_WHY: Mapping[Nature, str] = {
    "time": "Something hands on by the clock: the lumps have one period and various sizes.",
    "size": "A buffer that is handed on when it is full: the lumps have one size",
    "unknown": "A buffer on the way, or a server that writes several pieces at a time.",
}
_CUT = " and end in the middle of an event, which whoever writes events would not do."
_NAGLE = (
    "Every 40 ms is how Nagle's algorithm waits for a delayed acknowledgement: small writes on a connection without "
    "TCP_NODELAY."
)


def _fake(judged: Judgement, found: Sequence[Product]) -> Advice:
    if not judged.one_piece:
        why = "The answer is generated first, and then replayed at a pace: made to look like a stream."
        return Advice(_with_habits(why, found), [NO_GENERATING_FIRST])
    why = "Either it is generated first and then sent as a stream, or it waits in a buffer that is larger than it."
    return Advice(_with_habits(why, found), [*_unbuffer(found), NO_GENERATING_FIRST, LARGER])


def _unbuffer(found: Sequence[Product]) -> list[Fix]:
    fixes = [one.unbuffer for one in found]
    return fixes + ([IN_APP] if any(one.name == "nginx" for one in found) else [])


def _with_habits(why: str, found: Sequence[Product]) -> str:
    return " ".join([why, *(f"The headers name {one.name}: {one.habit}" for one in found)])


def size_text(size: float) -> str:
    """Write a size as `4 KiB` where it is nearly that, else as `4.4 KiB` or `870 bytes`."""
    for buffer in BUFFERS:
        if abs(size - buffer) <= NEAR * buffer:
            return f"{buffer // 1024} KiB"
    return f"{size / 1024:.1f} KiB" if size >= 1024 else f"{size:.0f} bytes"
