"""`bench serve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.plan.settings import FAULT, FAULT_HELP, SCRIPT_HELP
from bench.simulator.gateway_configs import GATEWAYS, config_for


@click.command("serve")
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
    type=click.Choice(GATEWAYS),
    help="Print a configuration of this gateway that puts it in front of this simulator, and do not serve.",
)
def command(
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
    """  # noqa: D301  (\b is click's)
    if gateway:
        click.echo(config_for(gateway, host, port), nl=False)
        return
    from bench.simulator.server import KEEP, serve  # noqa: PLC0415  (the help needs no server)

    def announce(simulator: Any) -> None:
        click.echo(f"{simulator.base_url}  (SIMULATED, profile {profile}; models sim-1 and sim-mini; Ctrl-C ends it)")

    serve(
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
