"""`bench doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.config_file import load_config
from bench.cli.options import OptionType, config_option, confirm, declared
from bench.doctor.settings import DoctorSettings
from bench.plan.option import given_values, options_of
from bench.plan.option_kinds import Words
from bench.plan.settings import Settings

OPTIONS = options_of(Settings)
EPILOG = """\b
Examples:
  bench doctor --base-url http://127.0.0.1:8000/v1 --model my-model
  bench doctor --target openai --model gpt-4o-mini
  bench doctor --base-url http://10.0.0.5:8000/v1 --base-url https://llm.example.com/v1 --model my-model
                                             direct and through the gateway, in turns: which of them is it?
  bench doctor --sim-behind http://127.0.0.1:4000/v1
                                             a gateway whose upstream is `bench serve`: what it adds to each event
  bench doctor --target sim                  how a healthy stream looks
  bench doctor --base-url http://127.0.0.1:8000/v1 --markdown > issue.md

\b
Exit codes:
  0 streaming   1 not, or not all of it   2 usage, or no answer at all   4 inconclusive
  130 interrupted (what was examined is shown)
"""


@click.command("doctor", epilog=EPILOG)
@click.option(
    "--base-url",
    "base_urls",
    multiple=True,
    metavar="URL",
    help="The endpoint. Repeatable: all are asked the same in turns, and differences are said against the first.",
)
@click.option(
    "--target", "targets", multiple=True, metavar="NAME", help="Or one of bench.toml, openai, or sim. Repeatable."
)
@click.option(
    "--sim-behind",
    multiple=True,
    metavar="URL",
    help="Or a gateway in front of `bench serve`: each event is held against its send time. Repeatable.",
)
@click.option("--sim", metavar="URL", help="Where that simulator is itself. [default: http://127.0.0.1:8080/v1]")
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Model to ask; one for all endpoints, or one for each."
)
@click.option(
    "--api-key-env",
    "api_key_envs",
    multiple=True,
    metavar="VARIABLE",
    help="Environment variable that holds the key; one for each endpoint.",
)
@declared(Settings, names=["headers", "extra_body"], grouped=False)
@click.option(
    "--api", type=OptionType(OPTIONS["api"].kind), help="Examine this API only. [default: both, where they are]"
)
@click.option(
    "--mode",
    "modes",
    type=OptionType(Words(("text", "tools", "structured"))),
    metavar="MODE,…",
    help="text, tools (function-call arguments), structured (JSON Schema); text always. [default: all three]",
)
@click.option(
    "--output-tokens",
    type=click.IntRange(min=64),
    metavar="N",
    help="Length of the longest answers. A buffer shows itself only in answers that are larger. [default: 256]",
)
@click.option(
    "--deadline",
    type=OptionType(OPTIONS["deadline"].kind),
    metavar="TIME",
    help="Longest wait for an answer, for instance 30s or 2m. [default: 120s]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Seed of the order in which endpoints take turns. [default: 0]",
)
@click.option("--json", "form", flag_value="json", help="Print JSON, with every number and curve.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, to be pasted into an issue.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page with a picture of how answers arrived.",
)
@click.option("--open", "open_html", is_flag=True, help="Show that page in the browser. [default: doctor.html]")
@config_option
@click.option("--dry-run", is_flag=True, help="Say how many requests and tokens it would take, send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before spending tokens.")
def command(**options: Any) -> None:
    """Is this endpoint really streaming? If not: what holds it up, and which line to change.

    Sends some 20 requests of a few hundred tokens and says so first. For each API and mode the verdict is streaming,
    bursty (pieces are held and come in lumps), fake (the answer is complete before its first piece comes), blocked (not
    even headers come before), not streaming (one JSON body), broken, or inconclusive: thresholds come from what this
    machine itself adds, measured all the while.
    """
    settings = settings_from(options)
    from bench.doctor.command import doctor  # noqa: PLC0415  (the help and wrong options need no SDK)

    sys.exit(doctor(settings, ["bench", *sys.argv[1:]], confirm=confirm))


def settings_from(options: Mapping[str, Any]) -> DoctorSettings:
    """Make the doctor's settings of what click gives, None or () where not given. BenchError for a wrong file."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    config = load_config(Path.cwd(), given.pop("config_file", None), os.environ)
    shared = given_values(Settings, {name: given.get(name) for name in ("headers", "extra_body")})
    return DoctorSettings(**{**given, **shared}, config=config)
