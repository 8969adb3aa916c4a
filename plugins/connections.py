"""The same text over a connection that is open already, and over one that has to be opened first.

`connection_warm` uses a kept connection, as an app with one long-lived client does. In `connection_cold` every trial
pays the TCP handshake, and the TLS one where there is TLS, as an app does that makes a client for each call, or whose
calls are further apart than its keep-alive (5 s in the SDK). The difference of the two rows is what a connection costs.
The first warm trial of a run opens the connection for the others; warm-up trials see to that.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text. Both deliveries give the same text, and it is valid only if it is not blank.
Expect: the cold row later than the warm one by the handshake, in both deliveries: a round trip for TCP, and one or two
for TLS. On loopback that is lost in the noise; over a long way it is not.

Records: `reused`, 1 when the first request found an open connection, else 0; `handshake`, ms to open one.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

from openai import AsyncOpenAI

from bench import Ask, Scenario, Trial, hookimpl
from bench.core.streams import blocking_text, check_text, text_deltas

PROMPTS = (
    "Describe the way to school of a child in a mountain village.",
    "Explain what a lock on a canal is for.",
    "Describe how a clockmaker repairs an old watch.",
)
NAMES = ("connection_cold", "connection_warm")
ABOUT = {
    "cold": "Plain text over a connection that has to be opened first.",
    "warm": "Plain text over a connection that is open already.",
}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, the moment it comes."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for text in text_deltas(stream):
            yield text


@asynccontextmanager
async def watch_connection(trial: Trial) -> AsyncIterator[None]:
    """Record after the trial whether the connection was open already, and what it took to open it."""
    yield
    first = trial.attempts[0] if trial.attempts else None
    if first is None or first.connection is None:
        return
    trial.record("reused", first.reused, "0 or 1")
    if first.t_connect is not None and first.t_connected is not None:
        trial.record("handshake", ((first.t_tls or first.t_connected) - first.t_connect) / 1e6, "ms")


@hookimpl
def observe(trial: Trial) -> AbstractAsyncContextManager[None] | None:
    """Watch the connection of these scenarios' trials."""
    return watch_connection(trial) if trial.scenario in NAMES else None


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `connection_cold` and `connection_warm`."""
    for connection in ("cold", "warm"):
        yield scenario(connection)


def scenario(connection: Literal["cold", "warm"]) -> Scenario:
    """Return the scenario whose trials use such a connection."""
    return Scenario(
        f"connection_{connection}",
        streamed,
        blocking_text,
        about=ABOUT[connection],
        prompts=PROMPTS,
        tags=("guide", "connection"),
        connection=connection,
        check=check_text,
        memory=False,
    )
