"""An app's own chat endpoint, measured from the outside: what its users see, whatever it does behind that.

The app has one route, `POST /chat`, asks an OpenAI-compatible endpoint and sends the text on as server-sent events of
its own. `bench run fastapi_chat.py` starts it in a process of its own; for an app that runs already, `setup` has only
to give a client that knows its address. Needs `pip install fastapi`.

Useful: the first text that is not blank.
Blocking: the same route without streaming. Both are valid only if they are not blank.

Trap: a stream of your own may end without a word when the app breaks behind it. So send an event at the end, as this
app does, and raise when it is missing: bench sees nothing of the bytes here, only what these functions do.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import cache
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

from bench import Ask, Scenario, hookimpl
from bench.core.scenario import Endpoint


async def streamed(_endpoint: Endpoint, ask: Ask) -> AsyncIterator[str]:
    """Each text that the app sends, when it comes."""
    app: httpx2.AsyncClient = ask.resource
    async with app.stream("POST", "/chat", json={"ask": ask.request, "stream": True}) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line == "event: done":
                return
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))
    raise ConnectionError("the app's stream ended without its last event")


async def blocking(_endpoint: Endpoint, ask: Ask) -> str:
    """Return the whole text."""
    app: httpx2.AsyncClient = ask.resource
    response = await app.post("/chat", json={"ask": ask.request, "stream": False})
    response.raise_for_status()
    return response.json()["text"]


def check(text: str) -> None:
    """There is something to read."""
    if not text.strip():
        raise ValueError("the answer has no text")


@asynccontextmanager
async def setup(endpoint: Endpoint, _ask: Ask) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of the running app; none of this is timed."""
    _process, url = started(json.dumps(asdict(endpoint)))
    async with httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False) as app:
        (await app.get("/health")).raise_for_status()
        yield app


@cache
def started(endpoint: str) -> tuple[subprocess.Popen[bytes], str]:
    """Start the app, once; it ends when this process does, because its stdin does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={**os.environ, "UPSTREAM": endpoint},
            start_new_session=True,  # Ctrl-C is for bench: it ends the app when it is done
        )
        return process, f"http://127.0.0.1:{listener.getsockname()[1]}"


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `fastapi_chat`. Not in the memory pass, for an app of its own is no constant part of that."""
    yield Scenario("fastapi_chat", streamed, blocking, client="own", setup=setup, check=check, memory=False)


class Chat(BaseModel):
    """What the app is sent. A real one would take the user's words and make the request from them."""

    ask: dict[str, Any]
    stream: bool


def make_app(endpoint: Mapping[str, Any]) -> FastAPI:
    """Serve the app itself: an ordinary one, which knows nothing of bench."""
    app = FastAPI()
    upstream = AsyncOpenAI(
        base_url=endpoint["base_url"], api_key=endpoint["api_key"], default_headers=endpoint["headers"]
    )

    async def frames(ask: dict[str, Any]) -> AsyncIterator[str]:
        async with await upstream.responses.create(**ask, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield f"data: {json.dumps(event.delta)}\n\n"
                if event.type == "response.completed":
                    yield "event: done\ndata: null\n\n"

    @app.get("/health")
    async def health() -> str:
        return "up"

    @app.post("/chat")
    async def chat(chat: Chat) -> Any:
        if chat.stream:
            return StreamingResponse(frames(chat.ask), media_type="text/event-stream")
        response = await upstream.responses.create(**chat.ask, stream=False)
        return {"text": response.output_text}

    return app


def main() -> None:
    """Serve the app on the socket that was handed over."""
    threading.Thread(target=lambda: sys.stdin.buffer.read() or os._exit(0), daemon=True).start()
    uvicorn.run(make_app(json.loads(os.environ["UPSTREAM"])), fd=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
