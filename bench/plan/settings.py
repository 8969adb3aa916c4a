"""The settings of a run: every option of `bench run` that says what is measured, with its default."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.load import Load
from bench.core.slo import Slo, parse_slo
from bench.core.target import Target, parse_header
from bench.plan.arrivals import Arrivals, parse_rates
from bench.plan.config import Config
from bench.plan.cost.budget import Budget, parse_budget
from bench.plan.options.kinds import LEVELS, PATH, SECONDS, custom_kind, fraction, one_of, whole_number, words_of
from bench.plan.options.option import amount_option, load_option, option, target_option, workload_option
from bench.plan.plan import FEWEST_CHECKED, ROUNDS, Client
from bench.plan.prompts.lengths import Lengths, parse_lengths
from bench.plan.targets import parse_extra_body

if TYPE_CHECKING:
    from bench.core.scenario import Api

DEFAULT_OUTPUT_TOKENS = 300
"""Asked of a real endpoint when no length is given: without a cap nobody can say what a run costs."""
DEFAULT_PAIRS = 36
DEFAULT_RETRIES = 2
MOST_PAIRS = 400
"""With a precision and no number of pairs: at most this many."""
FIRST_LOOK = 30
"""Pairs of a cell before its width is looked at: with fewer an interval may be narrow by chance."""
FAULT = "KIND[:VALUE]=PROBABILITY"
FAULT_HELP = "Let the simulator's answers go wrong: cut=0.1, 429:1=0.05, stall:300=0.1 and more. Repeatable."
SCRIPT_HELP = "Let the simulator answer what this file says, by model."
_FINDABLE = re.compile(r"(?!latest(~\d*)?$)[^-/\\][^/\\]*")
"""A name that `bench report NAME` takes neither for an option, a path nor the latest run."""


def _check_text(flag: str, text: str) -> str:
    if not text.strip():
        raise BenchError(f"{flag} is empty; leave it out to use the scenarios' own prompts")
    return text


def _check_name(name: str) -> str:
    if not _FINDABLE.fullmatch(name):
        raise BenchError(
            f"--name {name!r}: `bench report` could not find it; "
            "choose one without a slash that does not begin with - and is not latest"
        )
    return name


def _parse_headers(texts: Sequence[str]) -> dict[str, str]:
    return dict(map(parse_header, texts))


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the command line of `bench run` said, with its defaults.

    To add an option, add a field here; `bench.plan.options.option` says what follows from it.
    """

    arguments: Sequence[str] = ()
    config: Config = field(default_factory=Config)

    targets: Sequence[str] = target_option(
        (),
        "--target",
        repeat=True,
        metavar="NAME",
        help="Where to send requests: sim (the default), openai, or a target of bench.toml. Repeatable.",
    )
    base_url: str | None = target_option(
        None, "--base-url", metavar="URL", help="An OpenAI-compatible endpoint, for instance http://127.0.0.1:8000/v1."
    )
    models: Sequence[str] = target_option(
        (),
        "--model",
        repeat=True,
        metavar="NAME",
        help="Model to ask. Repeatable: every model is measured and they are compared.",
    )
    api_key_env: str | None = target_option(
        None,
        "--api-key-env",
        metavar="VARIABLE",
        help="Environment variable that holds the key. Without it only openai gets a key (OPENAI_API_KEY).",
    )
    headers: Mapping[str, str] = target_option(
        {},
        "-H",
        "--header",
        repeat=True,
        finish=_parse_headers,
        metavar="'NAME: VALUE'",
        help="Header for every request; ${VARIABLE} is filled in when it is sent. Repeatable.",
    )
    extra_body: Mapping[str, Any] = target_option(
        {},
        "--extra-body",
        finish=parse_extra_body,
        metavar="JSON|@FILE",
        help="Further fields for the body of every request.",
    )
    profile: str = target_option(
        "quick",
        "--profile",
        metavar="NAME[:FACTOR]",
        to_worker=True,
        help="Timing of the simulator: quick, typical, slow or flood; quick:1.1 waits 1.1 times as long. "
        "[default: quick]",
    )
    faults: Sequence[str] = target_option((), "--fault", repeat=True, metavar=FAULT, to_worker=True, help=FAULT_HELP)
    """`KIND[:VALUE]=PROBABILITY`, as typed."""
    script: Path | None = target_option(None, "--script", kind=PATH, metavar="FILE", help=SCRIPT_HELP)

    tags: Sequence[str] = workload_option(
        (), "-t", "--tag", repeat=True, metavar="TAG", help="Run the scenarios with this tag as well. Repeatable."
    )
    api: Api = workload_option(
        "responses",
        "--api",
        kind=one_of("responses", "chat"),
        toml=True,
        help="Whose core scenarios run when none is named: those of Responses, or their twins of Chat Completions. "
        "[default: responses]",
    )
    """API whose core scenarios run when no scenario is named."""
    params: Sequence[str] = workload_option(
        (),
        "-P",
        "--param",
        repeat=True,
        metavar="NAME.KEY=A,B",
        in_try=True,
        help="Parameter of a scenario; every combination of values is measured as a row of its own. Repeatable.",
    )
    """`SCENARIO.KEY=VALUE,…`, as typed."""
    prompt: str | None = workload_option(
        None,
        "--prompt",
        finish=partial(_check_text, "--prompt"),
        metavar="TEXT",
        in_try=True,
        help="Ask this instead of the scenarios' own prompts.",
    )
    prompts: str | None = workload_option(
        None,
        "--prompts",
        finish=partial(_check_text, "--prompts"),
        metavar="FILE|-",
        in_try=True,
        help="Ask these: JSONL or CSV with prompt or messages, optional id and output_tokens; - is stdin.",
    )
    input_tokens: Lengths | None = workload_option(
        None,
        "--input-tokens",
        kind=custom_kind(parse_lengths),
        metavar="LENGTHS",
        in_try=True,
        help="Ask made-up prompts of about so many tokens: 512, uniform:100-1000 or normal:512,128.",
    )
    """Lengths of made-up prompts."""
    shared_prefix: float = workload_option(
        0.0,
        "--shared-prefix",
        kind=fraction("share from 0 to less than 100%", zero=True),
        metavar="SHARE",
        in_try=True,
        help="The share of each made-up prompt that all of them begin with, as a system prompt would. [default: 0]",
    )
    output_tokens: int | None = workload_option(
        None,
        "--output-tokens",
        kind=whole_number(1),
        metavar="N",
        toml=True,
        in_try=True,
        to_worker=True,
        help="Length of the answers. [default: the profile's on sim, 300 elsewhere]",
    )
    delivery: str = workload_option(
        "both",
        "--delivery",
        kind=one_of("both", "streamed", "blocking"),
        toml=True,
        in_try=True,
        plan_key="delivery",
        help="Run one delivery only: no comparison then. [default: both]",
    )
    clients: Sequence[Client] = workload_option(
        ("sdk",),
        "--client",
        kind=words_of("sdk", "wire"),
        metavar="sdk,wire",
        toml=True,
        plan_key="clients",
        to_worker=True,
        help="sdk: the official one, what an app experiences; wire: a lean reader that adds next to nothing, what the "
        "server does. Both: what the SDK adds. [default: sdk]",
    )
    retries: int | None = workload_option(
        None,
        "--max-retries",
        kind=whole_number(0),
        metavar="N",
        toml=True,
        in_try=True,
        plan_key="max_retries",
        manifest_key="max_retries",
        to_worker=True,
        in_effect="max_retries",
        help="Hidden retries of the SDK; all are counted. [default: 2, as in every app; 0 beside the client wire]",
    )
    """The option as given; `max_retries` is what the SDK gets."""
    deadline: float = workload_option(
        120.0,
        "--deadline",
        kind=SECONDS,
        metavar="TIME",
        toml=True,
        in_try=True,
        plan_key="deadline_s",
        manifest_key="deadline_s",
        to_worker=True,
        help="Total time of one trial, retries included, for instance 30s or 2m. [default: 120s]",
    )

    pairs: int | None = amount_option(
        None,
        "--pairs",
        kind=whole_number(1),
        metavar="N",
        help="Streamed/blocking pairs of each cell; p90 needs 36, p95 72, p99 368. [default: 36]",
    )
    """The option as given; `most_pairs` is what the plan gets."""
    precision: float | None = amount_option(
        None,
        "--precision",
        kind=fraction("precision"),
        metavar="P",
        manifest_key="precision",
        help="End a cell once its intervals are as narrow as ±P, for instance 5% or 0.05; at most 400 pairs unless "
        "--pairs says more or less.",
    )
    """Stop a cell when its intervals are as narrow: a fraction."""
    budgets: Sequence[Budget] = amount_option(
        (),
        "--budget",
        kind=custom_kind(parse_budget),
        repeat=True,
        metavar="LIMIT",
        manifest_key="budgets",
        help="End the run before the pair that could exceed this: 10m, 90s or 1h, 200k-tokens, 2usd. Tokens or money "
        "are consent to spend as much. Repeatable.",
    )
    warmup: int = amount_option(
        3, "--warmup", kind=whole_number(0), metavar="N", help="Pairs before that, kept but in no figure. [default: 3]"
    )
    seed: int | None = amount_option(
        None,
        "--seed",
        kind=whole_number(0),
        metavar="N",
        in_try=True,
        help="Seed of the order and the nonces; the same seed makes the same plan. [default: random, and recorded]",
    )

    concurrency: Sequence[int] = load_option(
        (),
        "--concurrency",
        kind=LEVELS,
        metavar="N,N,…",
        help="Closed loop: trials at a time, each number a load of its own. [default: 1]",
    )
    """Closed loop, each a load of its own; `loads` is what the plan has."""
    rates: Sequence[float] = load_option(
        (),
        "--rate",
        kind=custom_kind(parse_rates, {"type": ["number", "string"]}, str, int, float),
        metavar="R,R,…",
        instead_of="concurrency",
        help="Open loop: trials that begin in a second whatever has become of the earlier ones, each a load of its "
        "own.",
    )
    """Open loop: trials a second, each a load of its own."""
    arrivals: Arrivals = load_option(
        "poisson",
        "--arrivals",
        kind=one_of("poisson", "constant"),
        needs="rate",
        help="Open loop: at random times, as users come, or evenly spaced. [default: poisson]",
    )
    ramp: float = load_option(
        0.0,
        "--ramp",
        kind=SECONDS,
        metavar="TIME",
        needs="load",
        help="Under load: bring it up over so long at the start of each segment; those trials are in no figure.",
    )
    """Seconds over which the load of a segment comes up."""
    duration: float | None = load_option(
        None,
        "--duration",
        kind=SECONDS,
        metavar="TIME",
        needs="load",
        plan_key="duration_s",
        help="Under load: measure each cell and delivery for so long, for instance 30s or 5m.",
    )
    """Seconds for which each cell under load is measured in each delivery."""
    requests: int | None = load_option(
        None,
        "--requests",
        kind=whole_number(1),
        metavar="N",
        needs="load",
        instead_of="duration",
        help="Under load: so many trials of each cell and delivery instead. [default: the pairs, and 4 for each at a "
        "time]",
    )
    """The number of trials instead of a duration."""
    max_in_flight: int = load_option(
        500,
        "--max-in-flight",
        kind=whole_number(1),
        metavar="N",
        needs="rate",
        plan_key="max_in_flight",
        to_worker=True,
        help="Open loop: a trial that finds so many under way is not sent, and counts as failed (shed). [default: 500]",
    )
    slos: Sequence[Slo] = load_option(
        (),
        "--slo",
        kind=custom_kind(parse_slo),
        repeat=True,
        metavar="METRIC=LIMIT",
        plan_key="slos",
        help="What a good answer keeps: ttft=500ms, itl=50ms, total=10s. Gives goodput and the knee. Repeatable.",
    )
    workers: int = load_option(
        1,
        "--workers",
        kind=whole_number(1),
        metavar="N",
        needs="load",
        plan_key="workers",
        help="Split the load over so many processes. [default: 1]",
    )
    scheduler: str | None = option(
        None,
        "--scheduler",
        metavar="ADDRESS",
        group="Load",
        needs="load",
        instead_of="workers",
        help="Split it over the workers of this Dask scheduler instead, for instance tcp://host:8786.",
    )

    memory: bool = option(
        True,
        "--memory/--no-memory",
        group="Checks",
        plan_key="memory",
        help="Measure client memory in a pass of its own (20 s, always on a simulator). [default: --memory]",
    )
    self_check: bool = option(
        True,
        "--self-check/--no-self-check",
        group="Checks",
        toml=True,
        help="Let the run check itself in between: A/A pairs (a fifth more trials, at least 11 pairs in all; they cost "
        "tokens) and calibration streams (8 s, always on a simulator, free). From 10 pairs on. "
        "[default: --self-check]",
    )
    """A/A pairs and calibration trials in between."""

    events: float = option(
        1.0,
        "--events",
        kind=fraction("share from more than 0 to 100%", one=True),
        metavar="SHARE",
        group="Output",
        toml=True,
        plan_key="events",
        to_worker=True,
        help="Store the events and pieces of so many trials only, for instance 1%; their metrics stay exact. "
        "[default: 100%]",
    )
    """Share of the trials whose events and pieces are stored."""
    store_text: bool = option(
        False,
        "--store-text",
        group="Output",
        manifest_key="store_text",
        to_worker=True,
        help="Keep prompts' results as text; else only their length and hash.",
    )
    out: Path = option(
        Path("reports"),
        "--out",
        kind=PATH,
        metavar="DIR",
        group="Output",
        help="Where the run folder is made. [default: reports]",
    )
    name: str | None = option(
        None,
        "--name",
        finish=_check_name,
        metavar="NAME",
        group="Output",
        help="A name to find the run by: `bench report NAME`.",
    )

    dry_run: bool = option(False, "--dry-run", help="Print the plan and the estimate, send nothing.")
    yes: bool = option(False, "-y", "--yes", in_try=True, help="Do not ask before spending tokens.")
    plugins: Sequence[Path] = option(
        (), "--plugin", kind=PATH, repeat=True, in_try=True, help="Load this plugin file. Repeatable."
    )
    plugins_dirs: Sequence[Path] = option(
        (),
        "--plugins-dir",
        kind=PATH,
        repeat=True,
        env="BENCH_PLUGINS_DIR",
        toml=True,
        in_try=True,
        help="Load every plugin file of this folder. Repeatable; BENCH_PLUGINS_DIR does the same.",
    )

    @property
    def most_pairs(self) -> int:
        """The most pairs of each cell: as asked for, else 36, or 400 where a precision ends it earlier."""
        return self.pairs or (DEFAULT_PAIRS if self.precision is None else MOST_PAIRS)

    @property
    def loads(self) -> Sequence[Load]:
        """The levels of load; without one in the options, one trial at a time."""
        closed = self.concurrency or (() if self.rates else (1,))
        return [*(Load(concurrency=number) for number in closed), *(Load(rate=rate) for rate in self.rates)]

    @property
    def under_load(self) -> bool:
        """True where trials run under load at some level."""
        return not all(load.sequential for load in self.loads)

    @property
    def several_processes(self) -> bool:
        """True where several processes measure, or others than this one."""
        return self.workers > 1 or self.scheduler is not None

    @property
    def max_retries(self) -> int:
        """The hidden retries of the SDK: 2 as in every app, none beside the client `wire`, which makes one attempt."""
        return self.retries if self.retries is not None else 0 if "wire" in self.clients else DEFAULT_RETRIES

    @property
    def rounds(self) -> int:
        """The rounds of each cell under load: small where the run may end early, or one delivery would have it all.

        That is 18 trials or seconds in each. With a ramp, which comes in each, a budget does not divide it further.
        """
        if self.precision is None and (not self.budgets or self.ramp):
            return ROUNDS
        most = max(self.most_pairs, self.requests or 0, int(self.duration or 0))
        return max(ROUNDS, most * ROUNDS // DEFAULT_PAIRS)


def calibrates(settings: Settings) -> bool:
    """Return True where the plan has calibration streams, which take the simulator whatever the targets are."""
    return settings.self_check and settings.most_pairs >= FEWEST_CHECKED and not settings.several_processes


def output_tokens(target: Target, settings: Settings) -> int | None:
    """Return the length to ask of this target; None: the simulator's profile says."""
    return settings.output_tokens or (None if target.simulated else DEFAULT_OUTPUT_TOKENS)
