"""Diagnoses as the doctor makes them, without an endpoint: for the tests of its reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from bench.core.scenario import Api
from bench.doctor.diagnosis import (
    Check,
    Curve,
    Delay,
    Diagnosis,
    Difference,
    Finding,
    Fix,
    Floor,
    Hop,
    Mode,
    Shift,
    Verdict,
)

DIRECT = Hop(name="app:8000", base_url="http://app:8000/v1", model="sim-1", server="uvicorn")
GATEWAY = Hop(name="gateway:8080", base_url="http://gateway:8080/v1", model="sim-1", server="nginx/1.22.1")
APIS: Sequence[Api] = ("responses", "chat")
MODES: Sequence[Mode] = ("text", "tools", "structured")
EVENTS = {"text": 96, "tools": 34, "structured": 52}
EVERY, FIRST = 5.1, 41.0
"""ms: of the server's events, and until its first one."""
FLOOR = Floor(
    p50_ms=0.21,
    p90_ms=0.9,
    most_ms=1.2,
    n=1152,
    sentence="Measured beside a stream of known send times: 1,152 events, at most 1.2 ms late (p50 0.21, p90 0.90 ms).",
)
NGINX = (
    Fix(
        where="nginx, in the location of the API",
        lines=["location /v1/ {", "    proxy_buffering off;", "    proxy_http_version 1.1;", "}"],
        note="Then `nginx -t` and `nginx -s reload`.",
    ),
    Fix(
        where="or in the app, if nginx is not yours",
        lines=["X-Accel-Buffering: no"],
        note="A response header; nginx then passes this answer on unbuffered.",
    ),
)
Points = list[tuple[float, int]]


def sent(mode: Mode) -> Points:
    """How the server makes the answer: an event each 5.1 ms."""
    return [(round(FIRST + EVERY * place, 2), 14 * (place + 1)) for place in range(EVENTS[mode])]


def lumped(points: Points, size: int = 16) -> Points:
    """So many events at a time, with the last of them."""
    return [points[min(place + size, len(points)) - 1] for place in range(0, len(points), size)]


def curve(hop: Hop, api: Api, mode: Mode, verdict: Verdict, arrivals: Points, headers: float | None = 12.4) -> Curve:
    """The longest answer."""
    end = arrivals[-1][0] + 1.5 if arrivals else 60.0
    return Curve(
        label=f"{api}, {mode}", hop=hop.name, verdict=verdict, arrivals=arrivals, headers_ms=headers, end_ms=end
    )


def finding(hop: Hop, api: Api, mode: Mode, drawn: Curve | None, verdict: Verdict, **texts: Any) -> Finding:
    """With the numbers of its curve."""
    known = drawn.arrivals if drawn else ()
    numbers: dict[str, Any] = {
        "first_ms": known[0][0] if known else None,
        "whole_ms": drawn.end_ms if drawn else None,
        "lumps": len(known) if verdict == "bursty" else None,
    }
    return Finding(hop=hop.name, api=api, mode=mode, verdict=verdict, curve=drawn, numbers=numbers, **texts)


def streams(hop: Hop, api: Api, mode: Mode) -> Finding:
    """Healthy."""
    drawn = curve(hop, api, mode, "streaming", [(x + 0.3, y) for x, y in sent(mode)])
    return finding(
        hop,
        api,
        mode,
        drawn,
        "streaming",
        happens=f"{EVENTS[mode]} events, one every {EVERY} ms, each in a read of its own.",
        sure="Sure: 6 of 6 answers; at most 1.2 ms late by the stream of known send times.",
    )


def bursts(hop: Hop, api: Api, mode: Mode) -> Finding:
    """Behind nginx as it comes out of its package."""
    drawn = curve(hop, api, mode, "bursty", lumped(sent(mode)), 41.3)
    wait = drawn.arrivals[0][0] - FIRST
    number = len(drawn.arrivals)
    return finding(
        hop,
        api,
        mode,
        drawn,
        "bursty",
        happens=f"The answer comes in {number} lumps: 15 to 17 events every 81 ms (4.0 KiB each time), and nothing in "
        f"between; the server makes one every {EVERY} ms.",
        sure=f"Sure: 6 of 6 answers, {6 * number} lumps; a stream of known send times, read at the same time, was at "
        "most 1.2 ms late.",
        why="A buffer that is handed on when it is full: the lumps have one size (4.0 KiB ± 1 %) and end in the middle "
        "of an event. The Server header says nginx/1.22.1, whose proxy_buffering is on unless it is turned off.",
        costs=f"The first token comes {wait:.0f} ms later than it need (about {100 * wait / (wait + FIRST):.0f} % of "
        f"its {wait + FIRST:.0f} ms), every word up to 81 ms. A load tool would see a median ITL of 0.02 ms and be "
        "pleased.",
        change=NGINX,
    )


def check(hop: Hop, name: str, state: Any, said: str) -> Check:
    """One property."""
    return Check(hop=hop.name, name=name, state=state, said=said)


def checks(hop: Hop) -> list[Check]:
    """As of most servers: one to know, one to mend."""
    return [
        check(hop, "content type", "good", "text/event-stream in all 6 answers."),
        check(hop, "keep-alive", "good", "5 of 5 later requests went over the first connection."),
        check(hop, "end", "good", "Every stream said that it was over."),
        check(hop, "compression", "note", "Nothing is compressed: 86 KiB for 1,344 characters. That is right here."),
        check(hop, "usage", "bad", "No usage in the stream of chat: ask with stream_options.include_usage."),
    ]


def diagnosis(*hops: Hop, findings: Sequence[Finding], answer: str, exit_code: int = 1, **more: Any) -> Diagnosis:
    """Of these hops."""
    return Diagnosis(
        created="2026-02-03T04:05:06Z",
        version="0.12.0",
        hops=hops,
        answer=answer,
        findings=findings,
        checks=[one for hop in hops for one in checks(hop)],
        floor=FLOOR,
        requests=38 * len(hops),
        tokens=3120 * len(hops),
        again="bench doctor " + " ".join(hop.base_url for hop in hops),
        exit_code=exit_code,
        **more,
    )


def bursty() -> Diagnosis:
    """Both APIs and all modes behind a default nginx."""
    return diagnosis(
        GATEWAY,
        findings=[bursts(GATEWAY, api, mode) for api, mode in product(APIS, MODES)],
        answer="No: gateway:8080 holds the answer back and passes it on in lumps of 4.0 KiB, so that the first token "
        "comes 77 ms late. It is a setting of nginx: proxy_buffering off.",
    )


def healthy() -> Diagnosis:
    """All is well."""
    found = [streams(DIRECT, api, mode) for api, mode in product(APIS, MODES)]
    answer = "Yes: app:8000 streams, with both APIs and in all modes; every event arrives as it is made."
    return replace(diagnosis(DIRECT, findings=found, answer=answer, exit_code=0), checks=checks(DIRECT)[:4])


def compared() -> Diagnosis:
    """The app streams and the gateway before it does not."""
    cells = list(product(APIS, MODES))
    found = [streams(DIRECT, *cell) for cell in cells] + [bursts(GATEWAY, *cell) for cell in cells]
    first, whole = Shift(value=76.5, low=76.1, high=76.9, n=6), Shift(value=0.4, low=-0.2, high=1.1, n=6)
    few = Shift(value=None, low=None, high=None, n=2, note="n=2 < 6")
    differences = [
        Difference(
            baseline=DIRECT.name,
            hop=GATEWAY.name,
            api=api,
            mode=mode,
            sentence="gateway:8080 makes the lumps: app:8000 sends the same answer evenly.",
            first=first if mode == "text" else few,
            whole=whole if mode == "text" else few,
        )
        for api, mode in cells
    ]
    answer = "No: app:8000 streams, gateway:8080 before it does not; it passes the answer on in lumps of 4.0 KiB."
    return diagnosis(DIRECT, GATEWAY, findings=found, answer=answer, differences=differences)


def fake() -> Diagnosis:
    """The app makes the whole answer and then cuts it up; chat has no tools there."""
    made = [(round(530 + 0.02 * place, 2), 14 * (place + 1)) for place in range(EVENTS["text"])]
    late = finding(
        DIRECT,
        "chat",
        "text",
        curve(DIRECT, "chat", "text", "fake", made, 529.4),
        "fake",
        happens="Nothing comes for 530 ms, then 96 events within 1.9 ms; a blocking call takes 531 ms.",
        sure="Sure: 6 of 6 answers; the stream ends as early as a blocking call, within 1 %.",
        why="The app waits for the whole answer and cuts it into events afterwards.",
        costs="The first token comes 489 ms later than it need, and no time is left to read it in.",
        change=[
            Fix(where="in the app", note="pass on each piece of the model as it is made (`stream=True` there too).")
        ],
    )
    none = finding(DIRECT, "chat", "tools", None, "not offered", happens="HTTP 400: tools are not supported.", sure="")
    answer = "No: app:8000 makes the whole answer first and sends it as 96 events within 1.9 ms."
    return diagnosis(DIRECT, findings=[late, none], answer=answer)


def broken() -> Diagnosis:
    """A proxy joins events and loses the end."""
    lost = finding(
        GATEWAY,
        "responses",
        "text",
        curve(GATEWAY, "responses", "text", "broken", lumped(sent("text"))[:4]),
        "broken",
        happens="The stream ends in the middle of an event, after 896 of 1,344 characters.",
        sure="Sure: 6 of 6 answers, each cut at 64.0 KiB.",
        why="Something on the way cuts an answer at a size.",
        change=[Fix(where="nginx", lines=["proxy_max_temp_file_size 0;"])],
    )
    return diagnosis(GATEWAY, findings=[lost], answer="No: gateway:8080 cuts every stream at 64.0 KiB.")


def unsure() -> Diagnosis:
    """Answers of three words tell nothing."""
    short = finding(
        DIRECT,
        "responses",
        "text",
        curve(DIRECT, "responses", "text", "inconclusive", [(44.0, 14)]),
        "inconclusive",
        happens="Each answer has 3 events, within 1 read.",
        sure="It cannot be told: 3 events of 5.1 ms may come in one read of a healthy stream.",
        change=[Fix(where="ask for more", lines=["bench doctor http://app:8000/v1 --max-tokens 512"])],
    )
    return diagnosis(
        DIRECT,
        findings=[short],
        answer="This cannot be told from answers of 3 events.",
        exit_code=4,
        notes=["The machine was busy: the event loop was up to 30 ms late."],
    )


def relayed() -> Diagnosis:
    """Through the gateway to the simulator, whose log knows when each piece was sent."""
    found = [bursts(GATEWAY, "responses", mode) for mode in MODES]
    found = [replace(one, curve=replace(one.curve, sent=sent(one.mode))) for one in found if one.curve]
    added = [
        Delay(
            hop=GATEWAY.name,
            api="responses",
            mode=mode,
            n=6 * EVENTS[mode],
            p50_ms=38.4,
            p90_ms=71.6,
            p99_ms=76.5,
            most_ms=77.2,
            error_ms=0.3,
            sentence="gateway:8080 holds each delta for 38.4 ms in the median and up to 77.2 ms, all ± 0.3 ms.",
        )
        for mode in MODES
    ]
    answer = "No: gateway:8080 holds each piece for up to 77 ms after the simulator had sent it."
    return diagnosis(GATEWAY, findings=found, answer=answer, added=added)


EXAMPLES: Mapping[str, Callable[[], Diagnosis]] = {
    one.__name__: one for one in (bursty, healthy, compared, fake, broken, unsure, relayed)
}
