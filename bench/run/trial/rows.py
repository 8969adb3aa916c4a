"""Make the rows of a trial, for all tables of the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b, sha256
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

from bench.clients.decode.decode import Answer, Event
from bench.clients.decode.responses_events import Meaning, Usage
from bench.core.scenario import canonical
from bench.core.stalls import stalls
from bench.core.trial import Attempt, Trial
from bench.records.journal import Rows, columns_of
from bench.records.schema import TOKEN_KINDS, VISIBLE_KINDS
from bench.run.outcome.judge import Exchange, Outcome


def keeps_events(trial_id: int, share: float) -> bool:
    """Return True if this trial is among the `share` of trials whose events are stored."""
    # by its number alone, so that every process and every rerun chooses the same
    if share >= 1:
        return True
    return int.from_bytes(blake2b(trial_id.to_bytes(8), digest_size=4).digest()) < share * 2**32


def tokens_of(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events that carry a part of the answer.

    A whole text (`…done`, a complete item) counts only if nothing of its kind came before it, for servers that send no
    deltas. The whole answer of the terminal event counts only if nothing visible came before it.
    """
    seen: set[str] = set()
    for event in events:
        meaning = event[3]
        kind = meaning[0]
        if not meaning[2] or kind not in _BRINGING:
            continue
        group = "tool_args" if kind == "item" else kind
        if meaning[4] and (seen & VISIBLE_KINDS if kind == "terminal" else group in seen):
            continue
        seen.add(group)
        yield event


_BRINGING = TOKEN_KINDS | {"terminal"}
_MEANING = itemgetter(3)
_T_READ = itemgetter(0)


def trial_rows(
    planned: Mapping[str, Any],
    trial: Trial,
    exchanges: Sequence[Exchange],
    outcome: Outcome,
    *,
    t0: int,
    store_text: bool,
) -> Rows:
    """Return the rows of one trial for all tables; `planned` has the columns that the plan already knows."""
    row = {
        **planned,
        "status": outcome.status,
        "error": outcome.error,
        "truncated": outcome.truncated,
        "cpu_ns": trial.cpu_ns,
        **_stamps(trial, exchanges, outcome, t0),
        **_counts(trial, exchanges),
        **_result(trial, store_text=store_text),
        **(dict.fromkeys(UNSEEN) if planned.get("client") == "own" else {}),
    }
    backoffs = _backoffs(trial.attempts)
    attempts = [attempt_row(trial.trial_id, one, answer, backoffs.get(one.client_id), t0) for one, answer in exchanges]
    metrics = [{"trial_id": trial.trial_id, "name": name, "unit": unit, "value": n} for name, unit, n in trial.metrics]
    return {
        "trials": columns_of("trials", [row]),
        "attempts": columns_of("attempts", attempts),
        "events": _events(trial.trial_id, exchanges, t0),
        "pieces": _pieces(trial, t0),
        "metrics": columns_of("metrics", metrics),
    }


UNSEEN = ("deltas", "stalls", "stall_ns", "requests", "attempts", "backoff_ns", "events", "reads", "bytes_in")
"""Unknown of a scenario with `client="own"`, whose requests nobody sees."""
FOREIGN = {
    "trials": ("error", "text"),
    "attempts": ("server_id", "content_type", "content_encoding", "retry_after", "terminal", "error"),
    "events": ("type",),
}
"""Columns whose text comes from the server, which may repeat a secret that it was sent."""
LONGEST_ERROR = 2000


def redact_rows(rows: Rows, redact: Callable[[str], str]) -> Rows:
    """Hide secrets in texts from the server, in place, and replace what UTF-8 cannot hold. Return the rows."""
    for table, names in FOREIGN.items():
        for name in names:
            values = rows.get(table, {}).get(name, [])
            texts = set(values) - {None, ""}
            hidden = {text: redact(text).encode("utf-8", "replace").decode() for text in texts}
            limit = LONGEST_ERROR if name == "error" else None
            if limit is None and all(text == same for text, same in hidden.items()):
                continue
            values[:] = [hidden[value][:limit] if value else value for value in values]
    return rows


def _stamps(trial: Trial, exchanges: Sequence[Exchange], outcome: Outcome, t0: int) -> dict[str, int | None]:
    first = min((answer.events[0].t_read for _, answer in exchanges if answer.events), default=None)
    answers = [list(tokens_of(answer.events)) for _, answer in exchanges]
    tokens = sorted(chain.from_iterable(answers), key=_T_READ)
    visible = next((event for event in tokens if event.meaning.kind != "reasoning"), None)
    useful = _first_useful(trial, outcome)
    found = [stalls(list(map(_T_READ, answer))) for answer in answers]
    streamed = trial.delivery == "streamed"
    return {
        "t_origin": trial.t_origin - t0,
        "t_intend": None if trial.t_intend is None else trial.t_intend - t0,
        "t_call": (trial.t_call or trial.t_origin) - t0,
        "t_end": trial.t_end - t0,
        "t_first_event": first - t0 if first is not None else None,
        "t_first_token": tokens[0].t_read - t0 if tokens else None,
        "t_first_visible": visible.t_read - t0 if visible else None,
        "t_first_piece": trial.pieces[0][0] - t0 if trial.pieces else None,
        "t_first_useful": useful - t0 if useful is not None else None,
        "t_last_token": tokens[-1].t_read - t0 if tokens else None,
        "deltas": len(tokens) if streamed else None,
        "stalls": sum(number for number, _ in found) if streamed else None,
        "stall_ns": sum(stalled for _, stalled in found) if streamed else None,
    }


def _first_useful(trial: Trial, outcome: Outcome) -> int | None:
    """Return when the first useful piece came; for blocking the end, if the trial was ok."""
    if trial.delivery == "blocking":
        return trial.t_end if outcome.status == "ok" else None
    return next((time for (time, _), useful in zip(trial.pieces, trial.useful, strict=True) if useful), None)


def _counts(trial: Trial, exchanges: Sequence[Exchange]) -> dict[str, int | None]:
    usages = _usages(exchanges)

    def total(values: Iterable[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return {
        "input_tokens": total(usage.input for usage in usages),
        "cached_tokens": total(usage.cached for usage in usages),
        "output_tokens": total(usage.output for usage in usages),
        "reasoning_tokens": total(usage.reasoning for usage in usages),
        "requests": len({attempt.request for attempt in trial.attempts}),
        "attempts": len(trial.attempts),
        "backoff_ns": sum(_backoffs(trial.attempts).values()),
        "events": sum(len(answer.events) for _, answer in exchanges),
        "reads": sum(len(attempt.reads) for attempt in trial.attempts),
        "bytes_in": sum(map(_bytes_in, trial.attempts)),
        "pieces": len(trial.pieces),
    }


def _usages(exchanges: Sequence[Exchange]) -> Sequence[Usage]:
    """Return the usage of each answer once: a response that is asked about by its id repeats its usage."""
    asked_about = {part for attempt, _ in exchanges for part in attempt.path.split("/")}
    told: dict[str | int, Usage] = {}
    for number, (_, answer) in enumerate(exchanges):
        if answer.usage is not None:
            told[answer.id if answer.id and answer.id in asked_about else number] = answer.usage
    return list(told.values())


def _backoffs(attempts: Sequence[Attempt]) -> dict[str, int]:
    """Return by client id the ns between the end of the attempt before it and its start."""
    last: dict[int, Attempt] = {}
    waited: dict[str, int] = {}
    for attempt in attempts:
        before = last.get(attempt.request)
        if before is not None and before.t_end is not None:
            waited[attempt.client_id] = attempt.t_start - before.t_end
        last[attempt.request] = attempt
    return waited


def _result(trial: Trial, *, store_text: bool) -> dict[str, Any]:
    if trial.result is None:
        return {}
    data = canonical(trial.result)
    text = data.decode("utf-8", "replace")
    return {
        "result_chars": len(text),
        "result_sha256": sha256(data).hexdigest(),
        "text": text if store_text else None,
    }


def attempt_row(trial_id: int | None, attempt: Attempt, answer: Answer, backoff: int | None, t0: int) -> dict[str, Any]:
    """Return a row of `attempts`; `trial_id` is None for an orphan."""
    stamps = {
        "t_start": attempt.t_start,
        "t_connect": attempt.t_connect,
        "t_connected": attempt.t_connected,
        "t_tls": attempt.t_tls,
        "t_sent": attempt.t_sent,
        "t_headers": attempt.t_headers,
        "t_first_read": attempt.reads[0][0] if attempt.reads else None,
        "t_last_read": attempt.reads[-1][0] if attempt.reads else None,
        "t_end": attempt.t_end,
    }
    headers = attempt.headers
    remaining = headers.get("x-ratelimit-remaining-requests", "")
    unread = attempt.closed_early and not answer.is_stream  # as the SDK leaves an error's body that it tries again
    return {
        "trial_id": trial_id,
        "request": attempt.request,
        "attempt": attempt.number,
        "client_id": attempt.client_id,
        "server_id": headers.get("x-request-id"),
        "method": attempt.method,
        "path": attempt.path,
        "retry_count": attempt.retry_count,
        **{name: None if stamp is None else stamp - t0 for name, stamp in stamps.items()},
        "connection": attempt.connection,
        "reused": attempt.reused if attempt.connection is not None else None,
        "backoff_ns": backoff,
        "status": attempt.status,
        "http_version": attempt.http_version,
        "content_type": headers.get("content-type"),
        "content_encoding": headers.get("content-encoding"),
        "retry_after": headers.get("retry-after-ms") or headers.get("retry-after"),
        "ratelimit_remaining": int(remaining) if remaining.isdecimal() and len(remaining) < 19 else None,
        "terminal": answer.terminal,
        "closed_early": attempt.closed_early,
        "pings": answer.pings,
        "events": len(answer.events),
        "reads": len(attempt.reads),
        "bytes_in": _bytes_in(attempt),
        "error": attempt.error or (None if unread else answer.malformed),
    }


def _events(trial_id: int, exchanges: Sequence[Exchange], t0: int) -> dict[str, list[Any]]:
    """Return the columns of `events`, made column by column: the one table with many rows."""
    flat = [event for _, answer in exchanges for event in answer.events]
    meanings = list(map(_MEANING, flat))
    counts = [(attempt, len(answer.events)) for attempt, answer in exchanges]
    return {
        "trial_id": [trial_id] * len(flat),
        "request": [request for attempt, count in counts for request in repeat(attempt.request, count)],
        "attempt": [number for attempt, count in counts for number in repeat(attempt.number, count)],
        "seq": [seq for _, count in counts for seq in range(count)],
        "t_read": [time - t0 for time in map(_T_READ, flat)],
        **{name: list(map(itemgetter(place), flat)) for name, place in _OF_EVENT},
        **{name: list(map(itemgetter(place), meanings)) for name, place in _OF_MEANING},
    }


_OF_EVENT = [(name, Event._fields.index(name)) for name in ("read", "bytes")]
_OF_MEANING = [(name, Meaning._fields.index(name)) for name in ("kind", "type", "chars", "sequence_number")]
"""Columns and their index: access by index is five times as fast as by name."""


def _pieces(trial: Trial, t0: int) -> dict[str, list[Any]]:
    pieces = trial.pieces
    return {
        "trial_id": [trial.trial_id] * len(pieces),
        "seq": list(range(len(pieces))),
        "t_yield": [time - t0 for time, _ in pieces],
        "useful": trial.useful,
        "chars": [len(piece) if isinstance(piece, str) else None for _, piece in pieces],
    }


def _bytes_in(attempt: Attempt) -> int:
    return sum(map(len, map(itemgetter(1), attempt.reads)))
