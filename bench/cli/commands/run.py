"""`bench run`."""

from __future__ import annotations

import sys
from typing import Any

import click
import cloup

from bench.cli.options import config_option, confirm, declared_options
from bench.cli.settings import settings_from
from bench.plan.options.option import given_values
from bench.plan.settings import Settings
from bench.reports.output import Output

EPILOG = """\b
Examples:
  bench run                                  the core scenarios on the embedded simulator
  bench run text --pairs 100                 one scenario, more pairs, narrower intervals
  bench run all                              every scenario
  bench run --precision 5% --budget 10m      until the intervals are narrow enough, for 10 minutes at most
  bench run text --client sdk,wire           what the SDK itself adds
  bench run text --client wire --concurrency 1,8,64 --slo ttft=500ms
  bench run text --client wire --rate 5,10,20 --duration 1m --slo ttft=500ms --slo itl=50ms
  bench run -t recovery                      those with a tag
  bench run --api chat                       the core scenarios over Chat Completions
  bench run ./rag.py -P rag.top_k=3,10       a scenario of your own, with two values of its parameter
  bench run --target openai --model gpt-4o-mini --model gpt-4.1-mini
  bench run --base-url http://127.0.0.1:8000/v1 --model qwen --prompts asks.jsonl
"""


@cloup.command("run", epilog=EPILOG)
@click.argument("arguments", metavar="[SCENARIO|all|FILE.py]...", nargs=-1)
@declared_options(Settings, Output)
@config_option
def command(**options: Any) -> None:
    """Run scenarios streamed and blocking, and report the difference.

    Without arguments it runs the core scenarios on the embedded simulator, in about two minutes. Results go to
    reports/RUN-ID/ (report.html, report.md, summary.csv, Parquet) and a table to stdout.
    """
    settings, output = settings_from(options), Output(**given_values(Output, options))
    from bench.cli.commands.run_steps import run  # noqa: PLC0415  (the help and wrong options need no SDK)

    sys.exit(run(settings, output, ["bench", *sys.argv[1:]], confirm=confirm))
