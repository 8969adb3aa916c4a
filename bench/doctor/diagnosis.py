"""The doctor's result as plain values: every report is made of a `Diagnosis` and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from bench.core.scenario import Api

Thing = TypeVar("Thing")
Key = TypeVar("Key", bound=Hashable)
Verdict = Literal["streaming", "bursty", "fake", "blocked", "not streaming", "broken", "inconclusive", "not offered"]
Mode = Literal["text", "tools", "structured"]
State = Literal["good", "note", "bad", "unknown"]
NAMES: Mapping[Api, str] = {"responses": "Responses", "chat": "Chat"}
"""The names of APIs in a sentence."""
HEALTHY: Verdict = "streaming"
UNDECIDED: Verdict = "inconclusive"
ABSENT: Verdict = "not offered"
"""The endpoint refuses this as such, or the model does not do it: nothing is said of streaming."""
MEANS: Mapping[Verdict, str] = {
    "streaming": "pieces arrive as they are made",
    "bursty": "pieces are held and arrive in lumps",
    "fake": "the answer is complete before its first piece arrives",
    "blocked": "not even the headers arrive before the answer is complete",
    "not streaming": "a stream was asked for and one JSON body came",
    "broken": "what arrives is no whole event stream",
    "inconclusive": "this examination cannot tell",
    "not offered": "not examined: the endpoint refuses it, or the model does not do it",
}
"""What each verdict says, in a few words."""


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One endpoint that was asked."""

    name: str
    """Host and port, or the name of its target."""
    base_url: str
    model: str
    server: str = ""
    """The server by its headers, for instance `nginx/1.22.1`."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How one answer arrived: the longest of its kind that was read."""

    label: str
    """For instance `responses, text`."""
    hop: str
    verdict: Verdict
    arrivals: Sequence[tuple[float, int]]
    """(ms after the request was sent, characters of the answer by then): one for each socket read that brought some."""
    headers_ms: float | None
    end_ms: float
    sent: Sequence[tuple[float, int]] = ()
    """(ms, characters) as the simulator sent them, where that is known."""


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One thing to change."""

    where: str
    """Where to change it, for instance `nginx, in the location of the API`."""
    lines: Sequence[str] = ()
    """Lines to copy as they are; none where a sentence is all there is."""
    note: str = ""
    """What else there is to say of the change."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on one API and mode of one hop, with what it rests on. Texts are whole sentences, or empty."""

    hop: str
    api: Api
    mode: Mode
    verdict: Verdict
    happens: str
    """What was seen."""
    sure: str
    """How sure that is, and by what."""
    why: str = ""
    """The likely cause."""
    costs: str = ""
    """What the verdict means for the first token and the reader."""
    change: Sequence[Fix] = ()
    """What to do, the likeliest first."""
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)
    """The evidence, by names that say the unit (`first_ms`); None: not known."""
    curve: Curve | None = None

    @property
    def label(self) -> str:
        """API and mode."""
        return f"{self.api}, {self.mode}"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One property of a hop's connections and streams."""

    hop: str
    name: str
    """For instance `keep-alive`."""
    state: State
    said: str
    """What was seen; with what to do about it where it is bad."""


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The ms by which one of two hops is later than the other. None: the data allow no number, and `note` says why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a hop does that the first one does not: same requests, in turns."""

    baseline: str
    hop: str
    api: Api
    mode: Mode
    sentence: str
    """The answer: whose doing it is."""
    first: Shift
    """The first piece of the answer."""
    whole: Shift
    """The whole answer."""


@dataclass(frozen=True, kw_only=True)
class Delay:
    """What the path adds to each delta of the simulator's, by the send times in its log."""

    hop: str
    api: Api
    mode: Mode
    n: int
    """Deltas that were matched, of all answers."""
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    most_ms: float | None
    error_ms: float
    """How far off all of them may be: 0 on one machine, else the uncertainty of the clocks' offset."""
    sentence: str
    note: str = ""
    """Why nothing could be matched, or what was changed on the way."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What this instrument itself adds: lateness of a stream of known send times, read all the while."""

    p50_ms: float | None
    p90_ms: float | None
    most_ms: float | None
    n: int
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All of it."""

    created: str
    """ISO 8601, UTC."""
    version: str
    hops: Sequence[Hop]
    answer: str
    """The whole in one or two sentences."""
    findings: Sequence[Finding]
    """The verdicts, by hop, API and mode."""
    checks: Sequence[Check]
    differences: Sequence[Difference] = ()
    added: Sequence[Delay] = ()
    """Through a path to the simulator only."""
    floor: Floor
    requests: int
    """Requests that were sent to the hops, preflight included."""
    tokens: int | None
    """Output tokens that the answers took by their usage; None: not told."""
    notes: Sequence[str] = ()
    again: str
    """The command line to check again."""
    exit_code: int
    """0 streaming, 1 not, 4 inconclusive."""


def group_by(things: Iterable[Thing], key: Callable[[Thing], Key]) -> dict[Key, list[Thing]]:
    """Return the things by their key, in the order of the first of each."""
    groups: dict[Key, list[Thing]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
