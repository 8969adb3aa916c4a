"""Turn what was seen of a scenario into a finding for each question."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.core.scenario import Scenario, is_sync
from bench.testing.plugin.leave_early import Disconnect
from bench.testing.plugin.observe import Evidence

Row = Mapping[str, Any]
Verdict = Literal["PASS", "FAIL", "SKIP"]
OWN_SHARE = 0.1
"""Share of the whole time that must be left after the first piece, where no request is seen."""
LAG_SHARE = 0.5
"""Share of a trial that may pass without a turn for other tasks. Generous, as the machine has other work too."""


@dataclass(frozen=True)
class Finding:
    """The answer to one question about a scenario."""

    verdict: Verdict
    scenario: str
    name: str
    """The question: `ends`, `pieces`, `early`, `same`, `rejects`, `loop`, `closing`, `cancelling`, `again`,
    `requests`."""
    text: str
    """Why, and what to do."""

    def __str__(self) -> str:
        return f"{self.verdict} {self.scenario} {self.name}: {self.text}"


Answer = tuple[Verdict, str]


def answers(scenario: Scenario, seen: Evidence) -> Iterator[tuple[str, Answer]]:
    """Yield the name of each question and its answer. A scenario that fails is judged no further."""
    streamed = [row for row in seen.trials if row["delivery"] == "streamed"]
    ends = _ends(seen.trials)
    yield "ends", ends
    if ends[0] == "PASS":
        yield "pieces", _pieces(streamed)
        yield "early", _early(scenario, streamed)
        yield "same", _equal_results(scenario, seen.trials)
        yield "rejects", _rejects(scenario, streamed[-1]["text"])
        yield "loop", _loop(scenario, seen)
    yield "closing", _disconnect(scenario, seen.closed, "closed")
    yield "cancelling", _cancelling(scenario, seen.cancelled)
    verdict, text = _ends(seen.again)
    yield "again", (verdict, f"after that {text}" if verdict == "PASS" else text)
    yield "requests", _requests(scenario, seen.orphans)


def _ends(trials: Sequence[Row]) -> Answer:
    for row in trials:
        if row["status"] != "ok":
            return "FAIL", f"{row['delivery']} ended as {row['status']}: {row['error']}; `bench try` shows how it went"
    deliveries = " and ".join(dict.fromkeys(row["delivery"] for row in trials))
    return "PASS", f"{deliveries} end ok"


def _pieces(streamed: Sequence[Row]) -> Answer:
    fewest = min(row["pieces"] for row in streamed)
    if fewest > 1:
        return "PASS", f"{fewest} pieces"
    return "FAIL", f"{('no piece', 'one piece')[fewest]}: yield each part of the answer when it can be used"


def _early(scenario: Scenario, streamed: Sequence[Row]) -> Answer:
    """Judge by the deltas that came after the first piece; with `client="own"` by the time that was left."""
    if not all(row["pieces"] for row in streamed):
        return "SKIP", "there is no piece"
    own = scenario.client == "own"
    left = max((row["t_end" if own else "t_last_token"] or 0) - row["t_first_piece"] for row in streamed)
    if left > (OWN_SHARE * min(row["t_end"] - row["t_origin"] for row in streamed) if own else 0):
        return "PASS", f"the first piece came {left / 1e6:.0f} ms before the {'end' if own else 'last delta'}"
    return "FAIL", "the first piece came when the whole answer was there: yield inside of the loop, not behind it"


def _equal_results(scenario: Scenario, trials: Sequence[Row]) -> Answer:
    if scenario.blocking is None:
        return "SKIP", "it has no blocking counterpart"
    for pair in {row["pair"] for row in trials}:
        one, other = sorted((row for row in trials if row["pair"] == pair), key=lambda row: str(row["delivery"]))
        if one["result_sha256"] != other["result_sha256"]:
            return "FAIL", _difference(other["text"], one["text"])
    return "PASS", "both deliveries give the same result"


def _difference(streamed: str | None, blocking: str | None) -> str:
    if streamed is None or blocking is None:
        which = "`assemble`" if streamed is None else "`blocking`"
        return f"{which} gives None: return the whole result"
    pairs = zip(streamed, blocking, strict=False)
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(streamed), len(blocking)))
    there, here = (text[max(0, place - 10) : place + 20] for text in (streamed, blocking))
    return f"from character {place} on streamed has {there!r}, blocking {here!r}: let `assemble` give what that returns"


def _rejects(scenario: Scenario, text: str | None) -> Answer:
    if scenario.check is None:
        return "SKIP", "there is no `check`: whatever comes counts as an answer; give one that raises when it is none"
    for what, make in _garbage(scenario, text).items():
        if _accepts(scenario.check, make):
            return "FAIL", f"`check` takes {what} for an answer: let it raise"
    return "PASS", "`check` rejects garbage"


def _garbage(scenario: Scenario, text: str | None) -> dict[str, Callable[[], Any]]:
    """Return functions that make invalid answers. One that `assemble` fails on counts as rejected."""
    garbage: dict[str, Callable[[], Any]] = {
        "the result of no pieces": lambda: scenario.assemble([]),
        "None": lambda: None,
    }
    if _joins(scenario):
        garbage |= {"an empty text": lambda: "", "blanks": lambda: " \n"}
        if text and _is_json(text):
            garbage["half of the JSON"] = lambda: text[: len(text) // 2]
    return garbage


def _joins(scenario: Scenario) -> bool:
    try:
        return isinstance(scenario.assemble([""]), str)
    except Exception:  # noqa: BLE001  (its pieces are no texts)
        return False


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def _accepts(check: Callable[[Any], object], make: Callable[[], Any]) -> bool:
    try:
        check(make())
    except Exception:  # noqa: BLE001  (that is how it rejects)
        return False
    return True


def _loop(scenario: Scenario, seen: Evidence) -> Answer:
    if is_sync(scenario):
        return "SKIP", "synchronous: it runs in a thread"
    shares: dict[str, list[float]] = {}
    for lag, row in zip(seen.lag_ns, seen.trials, strict=True):
        shares.setdefault(row["delivery"], []).append(lag / (row["t_end"] - row["t_origin"]))
    for delivery, found in shares.items():
        if min(found) > LAG_SHARE:
            text = f"{delivery}, the event loop stood still for {min(found):.0%} of the time"
            return "FAIL", f"{text}: await, or use synchronous functions"
    return "PASS", "other tasks get their turn"


def _cancelling(scenario: Scenario, left: Disconnect) -> Answer:
    if left.fate == "went on":
        return "FAIL", f"the task went on after its cancellation ({left.error or 'it returned'}): do not catch it"
    return _disconnect(scenario, left, "cancelled")


def _disconnect(scenario: Scenario, left: Disconnect, how: str) -> Answer:
    match left.fate:
        case "gone":
            return "PASS", f"{how} at the first piece, its connection was free after {left.ms:.0f} ms"
        case "ended":
            return "SKIP", "the first piece came at the end of the answer: nothing was left to leave"
        case "no piece":
            return "SKIP", f"there was no piece to leave at {left.error}".rstrip()
        case "late":
            return "FAIL", f"{how} at the first piece, it had not ended after 1 s {left.error}".rstrip()
    put = "with" if is_sync(scenario) else "async with"
    return "FAIL", f"{how} at the first piece, the answer still came after 1 s: put `{put}` around the stream"


def _requests(scenario: Scenario, orphans: int) -> Answer:
    if scenario.client == "own":
        return "SKIP", "its requests are not seen: own client"
    if orphans:
        return (
            "FAIL",
            f"{orphans} requests belonged to no trial: send all of them inside of the functions, and await them",
        )
    return "PASS", "all requests are inside of the trials"
