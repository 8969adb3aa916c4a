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
from openai.types.responses import Response

from bench import Ask, Scenario, Trial, hookimpl

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
    """Each text delta, the moment it comes."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta" and event.delta:
                yield event.delta


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The whole text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


def check(text: str) -> None:
    """There is something to read."""
    if not text.strip():
        raise ValueError("the answer has no text")


@asynccontextmanager
async def watched(trial: Trial) -> AsyncIterator[None]:
    """After the trial: was the connection open already, and what did it take to open it?"""
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
    return watched(trial) if trial.scenario in NAMES else None


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `connection_cold` and `connection_warm`."""
    for connection in ("cold", "warm"):
        yield scenario(connection)


def scenario(connection: Literal["cold", "warm"]) -> Scenario:
    """The same work over such a connection."""
    return Scenario(
        f"connection_{connection}",
        streamed,
        blocking,
        about=ABOUT[connection],
        prompts=PROMPTS,
        tags=("guide", "connection"),
        connection=connection,
        check=check,
        memory=False,
    )
