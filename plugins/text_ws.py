"""Plain text over a WebSocket, against the ordinary blocking call.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text, by an ordinary HTTP request. Each streamed trial opens a connection of its own and pays for
TCP, TLS, the upgrade and the farewell; the blocking one finds a connection open. An app that keeps its WebSocket open
saves that with its second request.
Expect: the times of `text`, later by the opening of a connection, which counts here: little on loopback, some round
trips elsewhere.

Traps: errors are events here and no exceptions, and the iterator over a connection does not end with the answer, so
the loop has to be left at the event that ends it. `stream` and `background` are not sent. The SDK needs the package
`websockets` (`pip install streambench[realtime]`), and reconnects only if it is given `on_reconnecting`.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import Response

from bench import Ask, Scenario, hookimpl

LAST = {"response.completed", "response.failed", "response.incomplete", "error"}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Each text delta, the moment it comes, until the event that ends the answer."""
    fields = dict(ask.request)
    extra = fields.pop("extra_body", {})  # further fields of the target; `connection.response.create` takes known ones
    create: Any = {"type": "response.create", **fields, **extra}
    async with client.responses.connect() as connection:
        await connection.send(create)
        async for event in connection:
            if event.type == "response.output_text.delta" and event.delta:
                yield event.delta
            if event.type in LAST:
                break


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The whole text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


def check(text: str) -> None:
    """There is something to read."""
    if not text.strip():
        raise ValueError("the answer has no text")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `text_ws`."""
    yield Scenario("text_ws", streamed, blocking, tags=("sdk",), needs=("websocket",), check=check, memory=False)
