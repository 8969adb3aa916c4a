"""`bench doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from bench.cli.config_file import load_config
from bench.cli.options import config_option, confirm, declared_options
from bench.doctor.settings import DoctorSettings
from bench.plan.options.option import given_values, options_of

LAST = {"dry_run", "yes"}
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
@declared_options(DoctorSettings, names=options_of(DoctorSettings).keys() - LAST - {"html", "open_html"}, grouped=False)
@click.option("--json", "form", flag_value="json", help="Print JSON, with every number and curve.")
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown, to be pasted into an issue.")
@declared_options(DoctorSettings, names=["html", "open_html"])
@config_option
@declared_options(DoctorSettings, names=LAST)
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
    config = load_config(Path.cwd(), options.get("config_file"), os.environ)
    form = {"form": options["form"]} if options.get("form") else {}
    return DoctorSettings(**given_values(DoctorSettings, options), **form, config=config)
