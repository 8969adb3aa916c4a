"""The public format of a run's tables: columns, types, units. `docs/records.md` is generated from it.

All times are int64 nanoseconds since the run's start (`manifest.json: t0_mono_ns`, on `time.perf_counter_ns`).
Missing is null, never 0 or NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = "1.3"
"""Major: a meaning changed; minor: a column was added. Readers accept their own major."""
Type = Literal["int64", "float64", "string", "bool", "label"]
"""`label` is a string that repeats: stored as a dictionary."""


@dataclass(frozen=True)
class Column:
    """A column of a table: type, unit (or ""), and what it says."""

    name: str
    type: Type
    unit: str
    doc: str


_c = Column
TRIAL_STATUS = (
    "ok",
    "http_4xx",
    "http_429",
    "http_5xx",
    "connect",
    "timeout",
    "cut_mid_stream",
    "no_terminal_event",
    "malformed",
    "in_band_error",
    "incomplete",
    "invalid_result",
    "scenario_error",
    "shed",
    "lost",
    "cancelled",
)
"""Every offered trial ends in exactly one of these; the report refuses to build when the sum is off."""
TABLES: Mapping[str, Sequence[Column]] = {
    "starts": (
        _c("trial_id", "int64", "", "Number of the trial in the plan"),
        _c("t_start", "int64", "ns", "When it was begun, just before the origin; these are the offered"),
        _c("cell", "int64", "", "Number of its cell in the plan"),
        _c("pair", "int64", "", "Its pair"),
        _c("block", "int64", "", "Its block (or segment)"),
        _c("phase", "label", "", "Its phase"),
        _c("delivery", "label", "", "`streamed` or `blocking`"),
    ),
    "trials": (
        _c("trial_id", "int64", "", "Number of the trial in the plan"),
        _c("cell", "int64", "", "Number of its cell in the plan"),
        _c("pair", "int64", "", "Trials of one pair share it; unique in the run"),
        _c("block", "int64", "", "Block (or segment) of the plan that it ran in"),
        _c("order", "int64", "", "0 or 1: first or second of its pair"),
        _c(
            "phase",
            "label",
            "",
            "`warmup` and `ramp` (kept, in no figure), `measure`, `aa` or `calibrate` (self-checks)",
        ),
        _c(
            "arm",
            "label",
            "",
            "Of an A/A pair: `a` in the place of the streamed trial, `b` in that of the blocking one",
        ),
        _c("scenario", "label", "", "Name of the scenario"),
        _c("params", "label", "", "Its parameters as JSON, or empty"),
        _c("api", "label", "", "`responses` or `chat`"),
        _c("target", "label", "", "Name of the target"),
        _c("model", "label", "", "Model as asked for"),
        _c("client", "label", "", "`sdk`, `wire` or `own`"),
        _c("load", "label", "", "`c=8`: eight at a time, closed loop; `rate=5`: five a second, open loop"),
        _c("delivery", "label", "", "`streamed` or `blocking`"),
        _c("ask", "int64", "", "Which prompt, by its place in the list"),
        _c("ask_id", "label", "", "Its id in the prompt file, or null"),
        _c("nonce", "string", "", "What stood in front of the prompt"),
        _c("status", "label", "", "One of: " + ", ".join(TRIAL_STATUS)),
        _c("error", "string", "", "What happened, redacted; null when ok"),
        _c("truncated", "bool", "", "ok, but ended at the length cap"),
        _c(
            "t_origin",
            "int64",
            "ns",
            "What every duration counts from: just before the scenario's function was entered (client `wire`: its "
            "request begun); in open loop `t_intend`",
        ),
        _c("t_intend", "int64", "ns", "Open loop: when the schedule wanted it; null in closed loop"),
        _c("t_call", "int64", "ns", "When it was really begun"),
        _c("t_first_event", "int64", "ns", "First SSE data event of any attempt (pings excluded)"),
        _c("t_first_token", "int64", "ns", "First content, reasoning, refusal or tool argument: TTFT"),
        _c("t_first_visible", "int64", "ns", "The same without reasoning: TTFT visible"),
        _c("t_first_useful", "int64", "ns", "First useful piece at the caller: TTFU. Blocking: the parsed whole"),
        _c("t_first_piece", "int64", "ns", "First piece of any kind at the caller"),
        _c("t_last_token", "int64", "ns", "Last content, reasoning, refusal or tool argument delta"),
        _c("t_end", "int64", "ns", "The scenario's function was through: total"),
        _c("deltas", "int64", "", "Non-empty deltas: events, never called tokens"),
        _c("stalls", "int64", "", "Gaps over 200 ms, or over 50 ms and five times this trial's median gap"),
        _c("stall_ns", "int64", "ns", "Time by which the stalled gaps exceed the median gap, summed"),
        _c("input_tokens", "int64", "tokens", "usage.input_tokens; of Chat usage.prompt_tokens, and so on"),
        _c("cached_tokens", "int64", "tokens", "usage.input_tokens_details.cached_tokens"),
        _c("output_tokens", "int64", "tokens", "usage.output_tokens; of Chat usage.completion_tokens, and so on"),
        _c("reasoning_tokens", "int64", "tokens", "usage.output_tokens_details.reasoning_tokens (inside output)"),
        _c("requests", "int64", "", "Logical API calls"),
        _c("attempts", "int64", "", "HTTP tries of them, hidden retries of the SDK included"),
        _c("backoff_ns", "int64", "ns", "Waited between attempts of one request, summed"),
        _c("events", "int64", "", "SSE data events"),
        _c("reads", "int64", "", "Socket reads"),
        _c("bytes_in", "int64", "bytes", "Bytes read from the socket (after TLS)"),
        _c("pieces", "int64", "", "Pieces the scenario yielded"),
        _c("result_chars", "int64", "chars", "Length of the result's canonical form"),
        _c("result_sha256", "string", "", "Its hash: equal work has equal hashes"),
        _c("text", "string", "", "The result itself, only with --store-text"),
        _c("cpu_ns", "int64", "ns", "CPU of the whole client process during the trial; only at c=1, client `sdk`"),
        _c("worker", "label", "", "The process that measured it; null where there was one only"),
        _c("stored", "bool", "", "Its events and pieces are in their tables; false: left out by `--events`"),
    ),
    "attempts": (
        _c("trial_id", "int64", "", "Trial it belongs to; null: an orphan, which makes its cell invalid"),
        _c("request", "int64", "", "Logical call within the trial, from 0"),
        _c("attempt", "int64", "", "Try of that call, from 0"),
        _c("client_id", "string", "", "Sent as X-Client-Request-Id and X-Request-Id"),
        _c("server_id", "string", "", "The x-request-id that came back"),
        _c("method", "label", "", "HTTP method; `WS`: a request over WebSocket"),
        _c("path", "label", "", "Path of the URL, without query"),
        _c("retry_count", "int64", "", "x-stainless-retry-count as the SDK sent it"),
        _c("t_start", "int64", "ns", "Handed to the transport"),
        _c("t_connect", "int64", "ns", "TCP connect began; null on a reused connection"),
        _c("t_connected", "int64", "ns", "TCP connected"),
        _c("t_tls", "int64", "ns", "TLS handshake done"),
        _c("connection", "int64", "", "Number of the connection in this run"),
        _c("reused", "bool", "", "Sent on a connection that had carried a request before"),
        _c("t_sent", "int64", "ns", "Last byte of the request written"),
        _c("t_headers", "int64", "ns", "Response headers handed over"),
        _c("t_first_read", "int64", "ns", "First socket read"),
        _c("t_last_read", "int64", "ns", "Last socket read"),
        _c("t_end", "int64", "ns", "Body closed, or the error"),
        _c("backoff_ns", "int64", "ns", "From the end of the attempt before; null for a first attempt"),
        _c("status", "int64", "", "HTTP status; null when none came; 101 over WebSocket"),
        _c("http_version", "label", "", "As the server said"),
        _c("content_type", "label", "", "Of the response"),
        _c("content_encoding", "label", "", "Of the response"),
        _c("retry_after", "string", "", "retry-after-ms or retry-after as sent"),
        _c("ratelimit_remaining", "int64", "", "x-ratelimit-remaining-requests where sent"),
        _c("terminal", "label", "", "Event that ended the stream, or the blocking body's status"),
        _c("closed_early", "bool", "", "The client closed the body before its end"),
        _c("pings", "int64", "", "SSE comments"),
        _c("events", "int64", "", "SSE data events"),
        _c("reads", "int64", "", "Socket reads"),
        _c("bytes_in", "int64", "bytes", "Bytes read from the socket"),
        _c("error", "string", "", "Exception of the transport, or what was wrong with the body; null when none"),
    ),
    "events": (
        _c("trial_id", "int64", "", "Trial"),
        _c("request", "int64", "", "Logical call"),
        _c("attempt", "int64", "", "Try"),
        _c("seq", "int64", "", "Place in the attempt, from 0"),
        _c("t_read", "int64", "ns", "The socket read that completed the event"),
        _c("read", "int64", "", "Number of that read: events with the same number arrived in one read"),
        _c(
            "kind",
            "label",
            "",
            "content, reasoning, refusal, tool_args, item; else lifecycle, terminal, error, done, …",
        ),
        _c("type", "label", "", "The event's own type; a chunk of Chat has none: `chat.` and its kind"),
        _c("bytes", "int64", "bytes", "Of its data"),
        _c("chars", "int64", "chars", "Of its delta, or of the whole that it repeats; 0 where it has none"),
        _c("sequence_number", "int64", "", "As sent, or null"),
    ),
    "pieces": (
        _c("trial_id", "int64", "", "Trial"),
        _c("seq", "int64", "", "Place in the trial, from 0"),
        _c("t_yield", "int64", "ns", "Handed to the caller"),
        _c("useful", "bool", "", "Scenario.useful said so"),
        _c("chars", "int64", "chars", "Length of a text piece, else null"),
    ),
    "metrics": (
        _c("trial_id", "int64", "", "Trial"),
        _c("name", "label", "", "Name given by the plugin; `mark.NAME` for marks"),
        _c("unit", "label", "", "Unit given by the plugin; marks are in ms from the origin"),
        _c("value", "float64", "", "The number"),
    ),
    "cells": (
        _c("cell", "int64", "", "Number of the cell in the plan"),
        _c("cpu_ns", "int64", "ns", "CPU of the measuring process while the cell's measured trials ran"),
        _c("wall_ns", "int64", "ns", "Wall time of the same stretches"),
        _c("events", "int64", "", "SSE events read in them"),
        _c("orphans", "int64", "", "Requests that belonged to no trial"),
        _c("worker", "label", "", "The process that measured them; null where there was one only"),
        _c("unsupported", "string", "", "Why none of its measured trials was run: what the server said in warm-up"),
    ),
    "memory": (
        _c("scenario", "label", "", "Name of the scenario"),
        _c("params", "label", "", "Its parameters as JSON, or empty"),
        _c("delivery", "label", "", "`streamed` or `blocking`"),
        _c("meter", "label", "", "`tracemalloc` (peak of Python's own blocks) or `rss` (peak growth of the process)"),
        _c("tokens", "int64", "tokens", "Output length asked for"),
        _c("output_tokens", "int64", "tokens", "Output length by usage or, where the scenario hides it, as asked"),
        _c("rep", "int64", "", "Repetition, from 0"),
        _c("base_bytes", "int64", "bytes", "Before the call"),
        _c("peak_bytes", "int64", "bytes", "Peak during the call, above the base"),
        _c("error", "string", "", "Why the point is missing; peak_bytes is null then"),
    ),
    "probes": (
        _c("t", "int64", "ns", "When"),
        _c("cell", "int64", "", "Cell that was running"),
        _c(
            "name",
            "label",
            "",
            "`loop_lag` (of a heartbeat every 10 ms), `gc_pause` (over 1 ms); of the whole machine, counted up: "
            "`pressure` (PSI: a process waited for a CPU), `cpu_time` (all CPUs, idle or not), `steal`",
        ),
        _c("value", "float64", "", "The reading"),
        _c("unit", "label", "", "Its unit"),
        _c("worker", "label", "", "The process that it was read in; null where there was one only"),
    ),
    "truth": (
        _c("client_id", "string", "", "X-Client-Request-Id the simulator was sent"),
        _c("server_id", "string", "", "x-request-id it answered with"),
        _c("frame", "int64", "", "Number of the frame in the response, from 0; null: a row for an answer without"),
        _c("t_sent", "int64", "ns", "Just before the frame was handed to the socket"),
        _c("type", "label", "", "Event type of the frame; `body` for a blocking answer"),
        _c("bytes", "int64", "bytes", "Length of the frame"),
        _c("fault", "label", "", "What went wrong with the response on purpose: a kind, or an HTTP status; or null"),
    ),
}
BEAT_NS = 10_000_000
"""Time between two heartbeats in ns."""
TOKEN_KINDS = frozenset({"content", "reasoning", "refusal", "tool_args", "item"})
VISIBLE_KINDS = TOKEN_KINDS - {"reasoning"}
