"""The stretches of one attempt, made of its stamps."""

from __future__ import annotations

from bench.reports.charts.waterfall.spans import AttemptStamps, Span, attempt_spans


def test_what_broke_lasts_until_its_end() -> None:
    """A connection that was never made, and a request that was never answered; a missing stamp is no zero."""
    none = AttemptStamps(*[None] * 8)
    refused = none._replace(t_start=0, t_connect=1, t_end=9)
    assert list(attempt_spans(0, refused, None, streamed=False)) == [Span(0, "connect", 1, 9)]
    silent = none._replace(t_start=0, t_sent=2, t_end=9)
    assert list(attempt_spans(3, silent, -4, streamed=False)) == [
        Span(3, "backoff", -4, 0),
        Span(3, "send", 0, 2),
        Span(3, "wait", 2, 9),
    ]
    assert list(attempt_spans(0, none, 5, streamed=True)) == []


def test_an_encrypted_connection_shows_its_handshake() -> None:
    """TCP, then TLS, then the request."""
    stamps = AttemptStamps(0, 1, 4, 9, 10, 20, 30, 31)
    assert [(span.kind, span.start, span.end) for span in attempt_spans(0, stamps, None, streamed=True, token=25)] == [
        ("connect", 1, 4),
        ("tls", 4, 9),
        ("send", 9, 10),
        ("wait", 10, 25),
        ("stream", 25, 30),
    ]


def test_a_stream_without_a_token_was_waited_for_to_its_end() -> None:
    """Events came, and none of them held a token."""
    stamps = AttemptStamps(0, None, None, None, 1, 5, 30, 31)
    assert list(attempt_spans(0, stamps, None, streamed=True)) == [Span(0, "send", 0, 1), Span(0, "wait", 1, 30)]
