"""The settings of `bench doctor`."""

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


@dataclass(frozen=True, kw_only=True)
class DoctorSettings:
    """Everything that the command line of `bench doctor` said, with its defaults."""

    targets: Sequence[str] = ()
    base_urls: Sequence[str] = ()
    sim_behind: Sequence[str] = ()
    sim: str = DEFAULT_SIM
    models: Sequence[str] = ()
    api_key_envs: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    api: Api | None = None
    modes: Sequence[Mode] = MODES
    output_tokens: int = LONGEST
    deadline: float = 120.0
    seed: int = 0
    yes: bool = False
    dry_run: bool = False
    form: str = "terminal"
    """`terminal`, `json` or `markdown`: what goes to stdout."""
    html: Path | None = None
    open_html: bool = False
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
