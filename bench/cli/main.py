"""The commands: options in, one call, exit code out. No logic, and no import that only one command needs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

import bench
from bench.cli.option_types import RUN_TYPES, Levels, Texts
from bench.cli.options import (
    baseline_options,
    form_options,
    gate_options,
    page_options,
    plugin_options,
    request_options,
    runs_option,
)
from bench.core.errors import EXIT_FAULT, EXIT_INTERRUPTED, EXIT_UNREAD, BenchError
from bench.core.terminal import to_devnull
from bench.reports.output import NAMES as OUTPUT

EPILOG_RUN = """\b
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
FAULT = "KIND[:VALUE]=PROBABILITY"
FAULT_HELP = "Let the simulator's answers go wrong: cut=0.1, 429:1=0.05, stall:300=0.1 and more. Repeatable."
SCRIPT_HELP = "Let the simulator answer what this file says, by model."
EPILOG_CALIBRATE = """\b
Examples:
  bench calibrate                            1, 8 and 32 trials at a time
  bench calibrate --concurrency 4            the load that you want to run with
  bench calibrate --trials 400               enough for every p99
  bench calibrate --client wire --concurrency 1,32,128
"""
EPILOG_CONFORMANCE = """\b
Exit codes:
  0 all right   1 something is wrong   4 inconclusive: the machine is too busy
"""
EPILOG_DOCTOR = """\b
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
EPILOG_COMPARE = """\b
Examples:
  bench compare latest~1 latest                          the last run with the one before it
  bench compare before after                             runs by their --name
  bench compare before after --fail-on 'text.ttft:+5%'   exit 1 where the first token comes over 5 % later
  bench compare before monday tuesday --json

\b
Exit codes:
  0 fine   1 a condition failed   2 usage, or not to be compared   4 a condition is undecided
"""
EXIT_CODES = """\b
Exit codes:
  0 fine   1 a condition of the gate failed   2 usage or configuration   3 run invalid
  4 not enough data, or a condition is undecided   70 a fault of bench itself
  130 interrupted (what was measured is written and reported)
"""


class Group(click.Group):
    """Our errors as one line on stderr, and an unknown command with its nearest name."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"bench: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("bench: interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:  # click would say 1, which is what a failed condition says
            to_devnull(sys.stdout)
            ctx.exit(EXIT_UNREAD)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from bench.core.errors import unknown

        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.list_commands(ctx), hint="bench --help shows all")
        return super().resolve_command(ctx, args)


@click.group(
    cls=Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(bench.__version__, prog_name="bench")
def cli() -> None:
    """What does streaming buy you? Do the same work streamed and blocking, and see the difference with its error.

    Start with `bench run`: no key, no network, no arguments. It measures the embedded simulator.
    """


@cli.command(epilog=EPILOG_RUN)
@click.argument("arguments", metavar="[SCENARIO|all|FILE.py]...", nargs=-1)
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="TAG", help="Run the scenarios with this tag as well. Repeatable."
)
@click.option(
    "--api",
    type=RUN_TYPES["api"],
    help="Whose core scenarios run when none is named: those of Responses, or their twins of Chat Completions. "
    "[default: responses]",
)
@click.option(
    "-P",
    "--param",
    "params",
    multiple=True,
    metavar="NAME.KEY=A,B",
    help="Parameter of a scenario; every combination of values is measured as a row of its own. Repeatable.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="Where to send requests: sim (the default), openai, or a target of bench.toml. Repeatable.",
)
@click.option("--base-url", metavar="URL", help="An OpenAI-compatible endpoint, for instance http://127.0.0.1:8000/v1.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Model to ask. Repeatable: every model is measured and they are compared.",
)
@click.option(
    "--api-key-env",
    metavar="VARIABLE",
    help="Environment variable that holds the key. Without it only openai gets a key (OPENAI_API_KEY).",
)
@request_options
@click.option("--prompt", metavar="TEXT", help="Ask this instead of the scenarios' own prompts.")
@click.option(
    "--prompts",
    metavar="FILE|-",
    help="Ask these: JSONL or CSV with prompt or messages, optional id and output_tokens; - is stdin.",
)
@click.option(
    "--input-tokens",
    type=RUN_TYPES["input-tokens"],
    metavar="LENGTHS",
    help="Ask made-up prompts of about so many tokens: 512, uniform:100-1000 or normal:512,128.",
)
@click.option(
    "--shared-prefix",
    type=RUN_TYPES["shared-prefix"],
    metavar="SHARE",
    help="The share of each made-up prompt that all of them begin with, as a system prompt would. [default: 0]",
)
@click.option(
    "--output-tokens",
    type=RUN_TYPES["output-tokens"],
    metavar="N",
    help="Length of the answers. [default: the profile's on sim, 300 elsewhere]",
)
@click.option(
    "--pairs",
    type=RUN_TYPES["pairs"],
    metavar="N",
    help="Streamed/blocking pairs of each cell; p90 needs 36, p95 72, p99 368. [default: 36]",
)
@click.option(
    "--precision",
    type=RUN_TYPES["precision"],
    metavar="P",
    help="End a cell once its intervals are as narrow as ±P, for instance 5% or 0.05; at most 400 pairs unless --pairs "
    "says more or less.",
)
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    type=RUN_TYPES["budget"],
    metavar="LIMIT",
    help="End the run before the pair that could exceed this: 10m, 90s or 1h, 200k-tokens, 2usd. Tokens or money are "
    "consent to spend as much. Repeatable.",
)
@click.option(
    "--warmup", type=RUN_TYPES["warmup"], metavar="N", help="Pairs before that, kept but in no figure. [default: 3]"
)
@click.option(
    "--delivery",
    type=RUN_TYPES["delivery"],
    help="Run one delivery only: no comparison then. [default: both]",
)
@click.option(
    "--client",
    "clients",
    type=RUN_TYPES["client"],
    metavar="sdk,wire",
    help="sdk: the official one, what an app experiences; wire: a lean reader that adds next to nothing, what the "
    "server does. Both: what the SDK adds. [default: sdk]",
)
@click.option(
    "--concurrency",
    type=RUN_TYPES["concurrency"],
    metavar="N,N,…",
    help="Closed loop: trials at a time, each number a load of its own. [default: 1]",
)
@click.option(
    "--rate",
    "rates",
    type=RUN_TYPES["rate"],
    metavar="R,R,…",
    help="Open loop: trials that begin in a second whatever has become of the earlier ones, each a load of its own.",
)
@click.option(
    "--arrivals",
    type=RUN_TYPES["arrivals"],
    help="Open loop: at random times, as users come, or evenly spaced. [default: poisson]",
)
@click.option(
    "--ramp",
    type=RUN_TYPES["ramp"],
    metavar="TIME",
    help="Under load: bring it up over so long at the start of each segment; those trials are in no figure.",
)
@click.option(
    "--duration",
    type=RUN_TYPES["duration"],
    metavar="TIME",
    help="Under load: measure each cell and delivery for so long, for instance 30s or 5m.",
)
@click.option(
    "--requests",
    type=RUN_TYPES["requests"],
    metavar="N",
    help="Under load: so many trials of each cell and delivery instead. [default: the pairs, and 4 for each at a time]",
)
@click.option(
    "--max-in-flight",
    type=RUN_TYPES["max-in-flight"],
    metavar="N",
    help="Open loop: a trial that finds so many under way is not sent, and counts as failed (shed). [default: 500]",
)
@click.option(
    "--slo",
    "slos",
    multiple=True,
    type=RUN_TYPES["slo"],
    metavar="METRIC=LIMIT",
    help="What a good answer keeps: ttft=500ms, itl=50ms, total=10s. Gives goodput and the knee. Repeatable.",
)
@click.option(
    "--workers",
    type=RUN_TYPES["workers"],
    metavar="N",
    help="Split the load over so many processes. [default: 1]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Split it over the workers of this Dask scheduler instead, for instance tcp://host:8786.",
)
@click.option(
    "--events",
    type=RUN_TYPES["events"],
    metavar="SHARE",
    help="Store the events and pieces of so many trials only, for instance 1%; their metrics stay exact. "
    "[default: 100%]",
)
@click.option(
    "--max-retries",
    "retries",
    type=RUN_TYPES["max-retries"],
    metavar="N",
    help="Hidden retries of the SDK; all are counted. [default: 2, as in every app; 0 beside the client wire]",
)
@click.option(
    "--deadline",
    type=RUN_TYPES["deadline"],
    metavar="SECONDS",
    help="Total time of one trial, retries included. [default: 120]",
)
@click.option(
    "--seed",
    type=RUN_TYPES["seed"],
    metavar="N",
    help="Seed of the order and the nonces; the same seed makes the same plan. [default: random, and recorded]",
)
@click.option(
    "--profile",
    metavar="NAME[:FACTOR]",
    help="Timing of the simulator: quick, typical, slow or flood; quick:1.1 waits 1.1 times as long. [default: quick]",
)
@click.option("--fault", "faults", multiple=True, metavar=FAULT, help=FAULT_HELP)
@click.option("--script", type=click.Path(path_type=Path), metavar="FILE", help=SCRIPT_HELP)
@click.option(
    "--memory/--no-memory",
    default=True,
    help="Measure client memory in a pass of its own (20 s, always on a simulator). [default: --memory]",
)
@click.option(
    "--self-check/--no-self-check",
    default=None,
    help="Let the run check itself in between: A/A pairs (a fifth more trials, at least 11 pairs in all; they cost "
    "tokens) and calibration streams (8 s, always on a simulator, free). From 10 pairs on. [default: --self-check]",
)
@click.option("--store-text", is_flag=True, help="Keep prompts' results as text; else only their length and hash.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the run folder is made. [default: reports]"
)
@click.option("--name", metavar="NAME", help="A name to find the run by: `bench report NAME`.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use this bench.toml. [default: the nearest one above the current folder]",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and the estimate, send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before spending tokens.")
@form_options
@baseline_options
@gate_options
@plugin_options
def run(**options: Any) -> None:
    """Run scenarios streamed and blocking, and report the difference.

    Without arguments it runs the core scenarios on the embedded simulator, in about two minutes. Results go to
    reports/RUN-ID/ (report.html, report.md, summary.csv, Parquet) and a table to stdout.
    """
    from bench.cli.run import run as run_it
    from bench.cli.settings import settings_from
    from bench.reports.output import output_from

    sys.exit(run_it(settings_from(options), output_from(options), ["bench", *sys.argv[1:]], confirm=_confirm))


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise BenchError("this would spend tokens and nobody can be asked; add --yes, or look first with --dry-run")
    return click.confirm(question, err=True)


NOT_OF_TRY = {
    "arguments",
    "tags",
    "api",
    "pairs",
    "precision",
    "budgets",
    "warmup",
    "clients",
    "concurrency",
    "rates",
    "arrivals",
    "ramp",
    "duration",
    "requests",
    "max_in_flight",
    "slos",
    "workers",
    "scheduler",
    "events",
    "memory",
    "self_check",
    "store_text",
    "out",
    "name",
    "dry_run",
    *OUTPUT,
}
"""What of `bench run` makes no sense for a single trial."""


@cli.command(name="try", params=[option for option in run.params if option.name not in NOT_OF_TRY])
@click.argument("argument", metavar="SCENARIO|FILE.py")
def try_(argument: str, **options: Any) -> None:
    """Run one streamed and one blocking trial, and show each piece with its time as it comes.

    Nothing is written. On the simulator and on this machine a pair goes before it to warm up, which is not shown.
    """
    from bench.cli.settings import settings_from
    from bench.testing.plugin.try_out import try_out

    try_out(settings_from({**options, "arguments": (argument,)}), confirm=_confirm)


@cli.command()
@click.argument("argument", metavar="FILE.py|SCENARIO")
@click.option(
    "-P", "--param", "params", multiple=True, metavar="NAME.KEY=A,B", help="Check it with these parameters. Repeatable."
)
@plugin_options
def check(argument: str, params: Sequence[str], plugins: Sequence[Path], plugins_dirs: Sequence[Path]) -> None:
    """Is this plugin sound? Tries its scenarios on the simulator, and says what to do; exit 1 when one fails.

    More than one piece, the first before the end, both deliveries the same result, garbage is rejected, leaving early
    frees the connection, cancelling works, and nothing is requested outside of the functions.
    """
    from bench.testing.plugin.check import check_named

    failed = False
    for finding in check_named(argument, params, plugins, plugins_dirs):
        click.echo(str(finding))
        failed |= finding.verdict == "FAIL"
    sys.exit(int(failed))


@cli.command()
@click.argument("name")
@click.option("--package", is_flag=True, help="Make a folder NAME with a pyproject.toml as well: a plugin to publish.")
def new(name: str, package: bool) -> None:
    """Write NAME.py and test_NAME.py here: a plugin that works, and its test. Nothing is overwritten."""
    from bench.testing.plugin.new import write_new

    click.echo(write_new(name, Path.cwd(), package=package))


@cli.command(name="list")
@plugin_options
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Use this bench.toml.")
def list_(plugins: Sequence[Path], plugins_dirs: Sequence[Path], config_file: Path | None) -> None:
    """Show scenarios, targets and reporters, and the plugin each comes from."""
    from bench.cli.list_ import listing

    click.echo(listing(plugins, plugins_dirs, config_file))


@cli.command()
@click.argument("ref", metavar="[RUN]", default="latest")
@runs_option
@form_options
@baseline_options
@gate_options
@plugin_options
def report(ref: str, out: Path, plugins: Sequence[Path], plugins_dirs: Sequence[Path], **options: Any) -> None:
    """Rebuild the reports of a run from its records and show the table.

    RUN is a folder, a run's id (or its beginning), its --name, latest, or latest~1.
    """
    from bench.cli.conditions import gated_here
    from bench.cli.present import show
    from bench.core.plugin_loader import load
    from bench.records.find import find_run
    from bench.reports.output import output_from

    output, folder = gated_here(output_from(options)), find_run(out, ref)
    reporters = [reporter for reporter, _ in load(plugins, plugins_dirs).reporters.values()]
    sys.exit(show(folder, reporters, output).exit_code)


@cli.command(epilog=EPILOG_COMPARE)
@click.argument("baseline", metavar="BASELINE")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@runs_option
@page_options
@gate_options
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Use this bench.toml.")
def compare(baseline: str, runs: Sequence[str], out: Path, config_file: Path | None, **options: Any) -> None:
    """Compare stored runs with the first one: what changed, with its interval, worst first.

    A run is a folder, an id (or its beginning), a --name, latest, or latest~1. Cells are matched by what they are;
    a run of a single target (or model) is matched with one of another name. compare.html, compare.md and compare.json
    go to the folder of each run that is compared. To compare two endpoints, better measure both in one run:
    `bench run --target A --target B --baseline-target A`.
    """
    from bench.cli.compare import compare_runs
    from bench.reports.output import Output

    sys.exit(compare_runs([baseline, *runs], out, Output(**options), config_file))


@cli.command()
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]")
@click.option(
    "--port", default=8080, type=click.IntRange(0, 65535), metavar="N", help="Port; 0 takes a free one. [default: 8080]"
)
@click.option(
    "--profile",
    default="quick",
    metavar="NAME[:FACTOR]",
    help="Timing: quick, typical, slow or flood; quick:1.1 waits 1.1 times as long. [default: quick]",
)
@click.option(
    "--seed", default=0, type=click.IntRange(min=0), metavar="N", help="Seed of answers and jitter. [default: 0]"
)
@click.option("--fault", "faults", multiple=True, metavar=FAULT, help=FAULT_HELP)
@click.option("--script", type=click.Path(path_type=Path), metavar="FILE", help=SCRIPT_HELP)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append the true send time of every frame to this file.",
)
@click.option(
    "--conformance",
    is_flag=True,
    help="Serve the streams of the conformance set too, as models named responses/NAME and chat/NAME.",
)
@click.option(
    "--print-config",
    "gateway",
    type=click.Choice(["nginx", "litellm", "envoy"]),
    help="Print a configuration of this gateway that puts it in front of this simulator, and do not serve.",
)
def serve(
    host: str,
    port: int,
    profile: str,
    seed: int,
    truth: Path | None,
    faults: Sequence[str],
    script: Path | None,
    conformance: bool,
    gateway: str | None,
) -> None:
    """Run the simulator: an OpenAI-compatible server (Responses API) with known timing, for any client.

    \b
    Try it:  curl -N http://127.0.0.1:8080/v1/responses -H 'content-type: application/json' \\
               -d '{"model": "sim-1", "input": "hello", "stream": true}'
    \b
    Behind a gateway of yours:  bench serve --print-config nginx, then bench doctor --sim-behind URL
    """
    if gateway:
        from bench.simulator.gateway_configs import config_for

        click.echo(config_for(gateway, host, port), nl=False)
        return

    from bench.simulator.server import KEEP
    from bench.simulator.server import serve as serve_it

    def announce(simulator: Any) -> None:
        click.echo(f"{simulator.base_url}  (SIMULATED, profile {profile}; models sim-1 and sim-mini; Ctrl-C ends it)")

    serve_it(
        host,
        port,
        profile=profile,
        seed=seed,
        truth=truth,
        faults=faults,
        script=script,
        conformance=conformance,
        keep=KEEP,
        announce=announce,
    )


@cli.command(epilog=EPILOG_DOCTOR)
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
@request_options
@click.option("--api", type=RUN_TYPES["api"], help="Examine this API only. [default: both, where they are]")
@click.option(
    "--mode",
    "modes",
    type=Texts(["text", "tools", "structured"]),
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
    "--deadline", type=RUN_TYPES["deadline"], metavar="SECONDS", help="Longest wait for an answer. [default: 120]"
)
@click.option(
    "--seed", type=RUN_TYPES["seed"], metavar="N", help="Seed of the order in which endpoints take turns. [default: 0]"
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
@click.option("--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Use this bench.toml.")
@click.option("--dry-run", is_flag=True, help="Say how many requests and tokens it would take, send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before spending tokens.")
def doctor(**options: Any) -> None:
    """Is this endpoint really streaming? If not: what holds it up, and which line to change.

    Sends some 20 requests of a few hundred tokens and says so first. For each API and mode the verdict is streaming,
    bursty (pieces are held and come in lumps), fake (the answer is complete before its first piece comes), blocked (not
    even headers come before), not streaming (one JSON body), broken, or inconclusive: thresholds come from what this
    machine itself adds, measured all the while.
    """
    from bench.cli.doctor import settings_from
    from bench.doctor.command import doctor as run_it

    sys.exit(run_it(settings_from(options), ["bench", *sys.argv[1:]], confirm=_confirm))


@cli.command(epilog=EPILOG_CONFORMANCE)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--repeat",
    default=5,
    type=click.IntRange(1, 100),
    metavar="N",
    help="Times each stream is measured; the median counts. [default: 5]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def conformance(names: Sequence[str], repeat: int, *, as_json: bool) -> None:
    """Hold this instrument against streams of known truth, and show truth beside reading.

    All streams, or the named ones: responses/text, text (in both APIs), 'usage_*'. They are served by the simulator
    and measured as every run is. docs/conformance.md lists them.
    """
    from bench.testing.conformance.command import conformance as run_it

    sys.exit(run_it(names, repeat, json=as_json))


@cli.command(epilog=EPILOG_CALIBRATE)
@click.option(
    "--concurrency",
    "levels",
    default="1,8,32",
    type=Levels(),
    metavar="N,N,…",
    help="Trials at a time: a column for each. [default: 1,8,32]",
)
@click.option(
    "--trials",
    default=100,
    type=click.IntRange(min=6),
    metavar="N",
    help="Streamed trials at each, and as many blocking ones; a p99 needs 368. [default: 100]",
)
@click.option("--client", type=click.Choice(["sdk", "wire"]), default="sdk", help="Which reader. [default: sdk]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def calibrate(levels: Sequence[int], trials: int, client: str, *, as_json: bool) -> None:
    """Show what this instrument itself adds on this machine, and how many streams at a time it can follow.

    The client reads streams whose send times are known, because the simulator stamps each event as it sends it,
    on the same clock. The difference is the instrument's floor: it stands beside results and is never subtracted. A
    difference below three floors is below what the instrument resolves. Every `bench run` of 10 pairs or more does a
    short form of this in between, at its own load. Nothing is written; takes about half a minute.
    """
    from bench.testing.calibrate.command import calibrate as run_it

    sys.exit(run_it(levels, trials, client=client, json=as_json))


def main() -> None:
    """Entry point of `bench`, `streambench` and `python -m bench`."""
    if isinstance(sys.stdout, TextIOWrapper):  # whatever the locale: reports and verdicts are written in one encoding
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        cli(prog_name="bench")
    except Exception:  # noqa: BLE001  (no user's mistake: those are a line)
        traceback.print_exc()
        click.echo("bench: this is a fault of bench itself; please report it with the lines above", err=True)
        sys.exit(EXIT_FAULT)
