"""The settings of `bench doctor`: every option that says what is asked and shown, with its default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.scenario import Api
from bench.doctor.diagnosis import Mode
from bench.doctor.probe.source import DEFAULT_SIM
from bench.doctor.requests import APIS, LONGEST, MODES, Question, make_questions
from bench.plan.config import Config
from bench.plan.options.kinds import PATH, whole_number, words_of
from bench.plan.options.option import option, options_of
from bench.plan.settings import Settings

_RUN = options_of(Settings)


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Everything that the command line of `bench doctor` said, with its defaults."""

    base_urls: Sequence[str] = option(
        (),
        "--base-url",
        repeat=True,
        metavar="URL",
        help="The endpoint. Repeatable: all are asked the same in turns, and differences are said against the first.",
    )
    targets: Sequence[str] = option(
        (), "--target", repeat=True, metavar="NAME", help="Or one of bench.toml, openai, or sim. Repeatable."
    )
    sim_behind: Sequence[str] = option(
        (),
        "--sim-behind",
        repeat=True,
        metavar="URL",
        help="Or a gateway in front of `bench serve`: each event is held against its send time. Repeatable.",
    )
    sim: str = option(
        DEFAULT_SIM, "--sim", metavar="URL", help=f"Where that simulator is itself. [default: {DEFAULT_SIM}]"
    )
    models: Sequence[str] = option(
        (), "--model", repeat=True, metavar="NAME", help="Model to ask; one for all endpoints, or one for each."
    )
    api_key_envs: Sequence[str] = option(
        (),
        "--api-key-env",
        repeat=True,
        metavar="VARIABLE",
        help="Environment variable that holds the key; one for each endpoint.",
    )
    headers: Mapping[str, str] = field(default_factory=dict, metadata={"option": _RUN["headers"]})
    extra_body: Mapping[str, Any] = field(default_factory=dict, metadata={"option": _RUN["extra_body"]})
    api: Api | None = option(
        None, "--api", kind=_RUN["api"].kind, help="Examine this API only. [default: both, where they are]"
    )
    modes: Sequence[Mode] = option(
        MODES,
        "--mode",
        kind=words_of(*MODES),
        metavar="MODE,…",
        help="text, tools (function-call arguments), structured (JSON Schema); text always. [default: all three]",
    )
    output_tokens: int = option(
        LONGEST,
        "--output-tokens",
        kind=whole_number(64),
        metavar="N",
        help="Length of the longest answers. A buffer shows itself only in answers that are larger. "
        f"[default: {LONGEST}]",
    )
    deadline: float = option(
        120.0,
        "--deadline",
        kind=_RUN["deadline"].kind,
        metavar="TIME",
        help="Longest wait for an answer, for instance 30s or 2m. [default: 120s]",
    )
    seed: int = option(
        0,
        "--seed",
        kind=whole_number(0),
        metavar="N",
        help="Seed of the order in which endpoints take turns. [default: 0]",
    )
    form: str = "terminal"
    """`terminal`, `json` or `markdown`: what goes to stdout."""
    html: Path | None = option(
        None, "--html", kind=PATH, metavar="FILE", help="Write a page with a picture of how answers arrived."
    )
    open_html: bool = option(False, "--open", help="Show that page in the browser. [default: doctor.html]")
    dry_run: bool = option(False, "--dry-run", help="Say how many requests and tokens it would take, send nothing.")
    yes: bool = field(default=False, metadata={"option": _RUN["yes"]})
    config: Config = field(default_factory=Config)

    @property
    def apis(self) -> Sequence[Api]:
        """The APIs to examine, where the endpoint has them."""
        return (self.api,) if self.api else APIS

    @property
    def questions(self) -> list[Question]:
        """The questions to each hop. A text is always among them: the others are held against it."""
        modes = [mode for mode in MODES if mode == "text" or mode in self.modes]
        return make_questions(self.apis, modes, self.output_tokens)
