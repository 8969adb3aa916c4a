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

from bench import Ask, Scenario, hookimpl
from bench.core.streams import TextReader, blocking_text, check_text

LAST = {"response.completed", "response.failed", "response.incomplete", "error"}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, the moment it comes, until the event that ends the answer."""
    fields = dict(ask.request)
    extra = fields.pop("extra_body", {})  # further fields of the target; `connection.response.create` takes known ones
    create: Any = {"type": "response.create", **fields, **extra}
    reader = TextReader()
    async with client.responses.connect() as connection:
        await connection.send(create)
        async for event in connection:
            if text := reader.feed(event):
                yield text
            if event.type in LAST:
                break


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `text_ws`."""
    yield Scenario(
        "text_ws", streamed, blocking_text, tags=("sdk",), needs=("websocket",), check=check_text, memory=False
    )
