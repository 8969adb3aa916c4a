"""From a question to what will be said and when: the part that all APIs of the simulator share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.core.script import Fault, Turn
from bench.simulator.answers import SimulatedAnswer, answer_to, cut_short, random_source
from bench.simulator.control import Control, chances_of, profile_of, read_control
from bench.simulator.fault_injection.chances import Attempts, Chance, attempt_key, fault_of
from bench.simulator.requests.conversation import turn_of, without_ids
from bench.simulator.requests.responses import ResponsesRequest
from bench.simulator.store.responses import Store
from bench.simulator.timing.pacing import schedule
from bench.simulator.timing.profiles import MODELS, Profile
from bench.simulator.truth import TruthLog

ANY_MODEL = "*"
"""The key of a script that holds for every model."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What holds for every request of one simulator."""

    profile: str
    seed: int
    nonce: str
    truth: TruthLog
    scripts: Mapping[str, Sequence[Turn]] = field(default_factory=dict)
    """By model, or for `ANY_MODEL`: what its answers are, turn by turn; the last one repeats."""
    chances: Sequence[Chance] = ()
    """Faults of requests whose control field says nothing of them."""
    attempts: Attempts = field(default_factory=Attempts)
    store: Store = field(default_factory=Store)

    @property
    def models(self) -> Sequence[str]:
        """Names of the models that are served: its own, and those that a script names."""
        return [*MODELS, *(name for name in self.scripts if name not in {*MODELS, ANY_MODEL})]

    def script_of(self, model: str) -> Sequence[Turn]:
        """Return the answers scripted for a model; empty if there are none."""
        return self.scripts.get(model) or self.scripts.get(ANY_MODEL, ())


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What one request is answered with, and when."""

    question: ResponsesRequest
    answer: SimulatedAnswer
    control: Control
    profile: Profile
    seed: int
    number: int
    """Which answer of the conversation this is, from 0."""
    turn: Turn | None
    """What the script says of it, if there is one."""
    attempt: int
    """Which attempt at this answer it is, from 0."""
    fault: Fault | None
    """What goes wrong with it."""

    def times(self) -> Iterator[tuple[int, int]]:
        """(tokens, ns after the request was received) of every delta event; the same ones at each call."""
        factor = MODELS.get(self.question.model, 1.0)
        rng = random_source("pacing", self.question, self.seed)
        return schedule(self.answer.tokens, self.profile, factor, rng)

    @property
    def end(self) -> int:
        """When the answer is complete: ns after the request was received."""
        return max((due for _, due in self.times()), default=0)


def generate(simulation: Simulation, question: ResponsesRequest) -> Generation:
    """Decide everything about the answer to a question. Raises `ApiError` for what cannot be answered."""
    control = read_control(question.metadata or {})
    profile = profile_of(control, simulation.profile)
    seed = simulation.seed if control.seed is None else control.seed
    number = turn_of(question.input)
    script = control.answers or simulation.script_of(question.model)
    turn = script[min(number, len(script) - 1)] if script else None
    answer = answer_to(question, control=control, turn=turn, seed=seed, default_tokens=profile.tokens)
    key = attempt_key((item.text for item in question.input), lambda: _known_by(question), number)
    attempt = simulation.attempts.count(key)
    chances = simulation.chances if control.faults is None else chances_of(control)
    fault = fault_of(turn, chances, seed=seed, key=key, attempt=attempt)
    return Generation(
        question=question,
        answer=ended_by(fault, answer),
        control=control,
        profile=profile,
        seed=seed,
        number=number,
        turn=turn,
        attempt=attempt,
        fault=fault,
    )


def _known_by(question: ResponsesRequest) -> str:
    """Return all of a question but the ids in it, which differ from run to run."""
    said = list(map(without_ids, question.input))
    return f"{said} {question.model_dump_json(exclude={'input', 'previous_response_id'})}"


def ended_by(fault: Fault | None, answer: SimulatedAnswer) -> SimulatedAnswer:
    """Cut the answer where the fault `incomplete` ends it; any other fault leaves it as it is."""
    if fault is None or fault.kind != "incomplete":
        return answer
    return cut_short(answer, max(1, round(fault.after * answer.tokens)), "incomplete:content_filter")
