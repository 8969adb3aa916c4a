"""Client `sdk`: the official SDK as an app has it, one pool per target, every attempt through the tap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai

from bench.clients.tap import TapTransport


def sdk_client(
    base_url: str,
    *,
    key: str,
    headers: Mapping[str, str],
    max_retries: int,
    own_environment: bool,
    direct: bool = False,
) -> tuple[openai.AsyncOpenAI, TapTransport]:
    """An SDK client whose sockets are stamped, and its tap.

    `own_environment`: this is OpenAI itself, so OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS and their like apply. The SDK
    would send them to any server. `direct`: past any proxy.
    """
    tap = TapTransport(base_url, direct=direct)
    with _openai_environment(visible=own_environment):
        client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=key,
            max_retries=max_retries,
            default_headers={"Accept-Encoding": "gzip, deflate", **headers},  # what decode.py can read
            http_client=openai.DefaultAsyncHttpx2Client(transport=tap),
        )
    return client, tap


@contextmanager
def _openai_environment(*, visible: bool) -> Iterator[None]:
    """Hide the OPENAI_* variables while a client for somebody else's server is made."""
    hidden = {} if visible else {name: value for name, value in os.environ.items() if name.startswith("OPENAI_")}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
