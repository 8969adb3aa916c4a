"""Causes and remedies: by verdict and nature, and by what the headers say of who is on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.doctor.advice import BUFFERS, Advice, advise, size_text
from bench.doctor.diagnosis import Fix, Mode, Verdict
from bench.doctor.products import PRODUCTS, products_named, server_text
from bench.doctor.verdict.bursts import Nature, Pattern
from bench.doctor.verdict.judgement import Judgement

HEADERS: Mapping[str, Mapping[str, str]] = {
    "nginx": {"server": "nginx/1.22.1"},
    "Apache httpd": {"server": "Apache/2.4.58 (Ubuntu)"},
    "Envoy": {"server": "istio-envoy"},
    "Caddy": {"server": "Caddy"},
    "IIS": {"server": "Microsoft-IIS/10.0"},
    "Kong": {"via": "1.1 kong/3.9.0"},
    "Varnish": {"via": "1.1 varnish (Varnish/7.4)"},
    "CloudFront": {"via": "1.1 8f9c6d2e.cloudfront.net (CloudFront)"},
    "Cloudflare": {"server": "cloudflare"},
    "AWS API Gateway": {"x-amz-apigw-id": "JKv8dE3OIAMEWhA="},
    "LiteLLM": {"x-litellm-version": "1.74.0"},
    "Express": {"x-powered-by": "Express"},
}
"""As these products really send them."""
PLAIN: Mapping[str, str] = {"server": "uvicorn", "content-type": "text/event-stream"}


def lumpy(nature: Nature = "size", *, inside: float = 1.0, period: float = 81.0, size: float = 4096.0) -> Judgement:
    """Bursty by such a pattern."""
    found = Pattern(
        lumps=12, deltas=(15, 17), period_ms=period, bytes=size, even_bytes=0, even_period=0.01, inside=inside
    )
    return Judgement(verdict="bursty", answers=6, nature=nature, pattern=found)


def of(verdict: Verdict, mode: Mode = "text", headers: Mapping[str, str] = PLAIN, **judged: object) -> Advice:
    """Advice on a verdict."""
    return advise(Judgement(verdict=verdict, answers=6, **judged), mode, headers, None)  # type: ignore[arg-type]


def lines(change: Advice) -> str:
    """All that is to be done, in one text."""
    return "\n".join(text for fix in change.change for text in (fix.where, *fix.lines, fix.note))


@pytest.mark.parametrize("name", HEADERS)
def test_each_product_is_recognised(name: str) -> None:
    """By a header as it is sent, and alone; the advice names it, says its habit, and begins with its remedy."""
    assert [one.name for one in products_named(HEADERS[name])] == [name]
    found = advise(lumpy(), "text", HEADERS[name], None)
    (product,) = [one for one in PRODUCTS if one.name == name]
    assert f"The headers name {name}: {product.habit}" in found.why
    assert found.change[0] == product.unbuffer


def test_the_table_is_covered() -> None:
    """A product that is added to the table has to be added here."""
    assert HEADERS.keys() == {one.name for one in PRODUCTS}


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({"server": "openresty/1.25.3"}, ["nginx"]),
        ({"server": "Apache-Coyote/1.1"}, []),
        ({"server": "uvicorn", "x-envoy-upstream-service-time": "12"}, ["Envoy"]),
        ({"server": "envoy", "x-envoy-upstream-service-time": "12"}, ["Envoy"]),
        ({"server": "nginx", "via": "1.1 varnish", "x-litellm-version": "1"}, ["nginx", "Varnish", "LiteLLM"]),
        ({"server": ""}, []),
        (PLAIN, []),
    ],
)
def test_passed_through(headers: Mapping[str, str], names: list[str]) -> None:
    """Several at once in the order of the table, none twice, and none by a name that only looks like it."""
    assert [one.name for one in products_named(headers)] == names


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda one: one.name)
def test_each_remedy_says_where_and_what(product: object) -> None:
    """Every fix has a place and something to do; a habit is a sentence about the product."""
    (one,) = [known for known in PRODUCTS if known is product]
    for fix in filter(None, [one.unbuffer, one.uncompress]):
        assert complete(fix)
    assert one.habit.startswith((one.name.split()[0], "API Gateway"))
    assert one.habit.endswith(".")
    assert one.header == one.header.lower()


def complete(fix: Fix) -> bool:
    """A place, and lines to copy or a whole sentence; no line is empty."""
    return bool(fix.where and (fix.lines or fix.note) and all(fix.lines) and (not fix.note or fix.note.endswith(".")))


ALL: list[tuple[Verdict, Mode, Judgement]] = [
    *(("bursty", "text", lumpy(nature)) for nature in ("size", "time", "unknown")),
    ("bursty", "text", lumpy("size", inside=0)),
    ("bursty", "text", lumpy("time", period=40)),
    *(("fake", mode, Judgement(verdict="fake", answers=6, one_piece=True)) for mode in ("text", "tools", "structured")),
    ("fake", "text", Judgement(verdict="fake", answers=6)),
    ("blocked", "text", Judgement(verdict="blocked", answers=6)),
    ("not streaming", "text", Judgement(verdict="not streaming", answers=6)),
]


@pytest.mark.parametrize(("verdict", "mode", "judged"), ALL)
@pytest.mark.parametrize("headers", [PLAIN, HEADERS["nginx"], {**HEADERS["Caddy"], "content-encoding": "gzip"}])
@pytest.mark.parametrize("plain", [None, "streaming", "bursty"])
def test_every_bad_verdict_has_a_cause_and_a_remedy(
    verdict: Verdict, mode: Mode, judged: Judgement, headers: Mapping[str, str], plain: Verdict | None
) -> None:
    """As whole sentences, each remedy with its place; and nothing in it is a number that was measured."""
    found = advise(judged, mode, headers, plain)
    assert re.fullmatch(r"[A-Z].*\.", found.why)
    assert found.change
    assert all(map(complete, found.change))
    measured = re.findall(r"\d+(?:\.\d+)? (?:ms|s|pieces|KiB|bytes|%)", found.why)
    assert set(measured) <= {"40 ms", "8 KiB"}, "these are of the product or the kernel, not measured"


@pytest.mark.parametrize(
    ("judged", "says", "not_says"),
    [
        (lumpy("size"), "end in the middle of an event", "whatever the time"),
        (lumpy("size", inside=0), "whatever the time between them", "middle of an event"),
        (lumpy("time"), "hands on by the clock", "full"),
        (lumpy("unknown"), "or a server that writes several pieces", "full"),
        (lumpy("time", period=40.2), "Nagle's algorithm", "hands on by the clock"),
        (lumpy("time", period=46), "hands on by the clock", "Nagle"),
        (lumpy("size", period=40), "when it is full", "Nagle"),
    ],
)
def test_the_cause_of_lumps(judged: Judgement, says: str, not_says: str) -> None:
    """It follows from their nature; only a timer of 40 ms is Nagle's."""
    found = advise(judged, "text", PLAIN, None)
    assert says in found.why
    assert not_says not in found.why
    assert ("TCP_NODELAY" in lines(found)) is ("Nagle" in found.why)


def test_the_application_can_tell_nginx() -> None:
    """Behind nginx there is a second way, a header of the application's; behind others there is not."""
    assert "X-Accel-Buffering: no" in lines(advise(lumpy(), "text", HEADERS["nginx"], None))
    assert "X-Accel-Buffering" not in lines(advise(lumpy(), "text", HEADERS["Envoy"], None))


@pytest.mark.parametrize("verdict", ["bursty", "fake", "blocked"])
def test_compression_is_the_cause_where_it_streams_without(verdict: Verdict) -> None:
    """Then the remedy is about compression alone; with a buffer as well it is both; unproved it is neither."""
    headers = {**HEADERS["nginx"], "content-encoding": "gzip"}
    judged = Judgement(verdict=verdict, answers=6, pattern=lumpy().pattern, nature="size")
    cured = advise(judged, "text", headers, "streaming")
    assert "without compression it streams" in cured.why
    assert "gzip off;" in lines(cured)
    assert "proxy_buffering off;" not in lines(cured)
    assert "gzip off;" not in lines(advise(judged, "text", headers, None))
    assert "gzip off;" not in lines(advise(judged, "text", HEADERS["nginx"], "streaming"))
    if verdict != "bursty":
        both = advise(judged, "text", headers, "bursty")
        assert "so there is a buffer as well" in both.why
        assert {"gzip off;", "proxy_buffering off;"} <= set(lines(both).split("\n"))


def test_an_unknown_compressor() -> None:
    """Where no product is known, it is still said what to leave out."""
    found = advise(lumpy(), "text", {**PLAIN, "content-encoding": "deflate"}, "streaming")
    assert "(deflate)" in found.why
    assert "text/event-stream" in lines(found)


@pytest.mark.parametrize(
    ("because", "says"),
    [
        ("the content type is missing, not text/event-stream, in 3 of 6 answers", "Content-Type: text/event-stream"),
        ("it ends without a terminal event, in 6 of 6 answers", "proxy_read_timeout"),
        ("the connection ended inside the answer (reset), in 6 of 6 answers", "a limit on the size"),
        ("it is malformed: event 1 is not JSON, in 6 of 6 answers", "lines of `data: `"),
    ],
)
def test_broken_streams(because: str, says: str) -> None:
    """What is broken has its remedy; what is not known has none, and healthy verdicts have neither."""
    assert says in lines(of("broken", because=because))
    assert of("broken", because="HTTP 502, in 6 of 6 answers") == Advice("", [])
    assert [of(verdict) for verdict in ("streaming", "inconclusive", "not offered")] == [Advice("", [])] * 3


@given(st.floats(1, 200_000))
def test_sizes(size: float) -> None:
    """A buffer's size is named only near it; else the number is within 5 % of the truth, in its unit."""
    text = size_text(size)
    number, unit = text.split(" ")
    shown = float(number) * (1024 if unit == "KiB" else 1)
    near = [buffer for buffer in BUFFERS if abs(size - buffer) <= 0.08 * buffer]
    assert shown == near[0] if near else abs(shown - size) <= max(0.05 * size, 0.5)
    assert (unit == "bytes") is (size < 1024)


def test_who() -> None:
    """What the headers say, each once and not without end; nothing where they say nothing."""
    assert server_text({"server": "nginx", "via": "1.1 varnish", "x-powered-by": "nginx"}) == "nginx, 1.1 varnish"
    assert server_text({"server": ""}) == server_text({}) == ""
    assert len(server_text({"server": "x" * 500})) == 80
