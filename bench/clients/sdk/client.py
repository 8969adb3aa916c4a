"""Make the client `sdk`: the official SDK as an app uses it, with every attempt recorded by the tap."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import openai

from bench.clients.sdk.attempt_log import AttemptLog
from bench.clients.sdk.tap import SyncTapTransport, TapTransport

if TYPE_CHECKING:
    from openai.resources.responses import AsyncResponses

_ENCODINGS = {"Accept-Encoding": "gzip, deflate"}
"""The encodings that `decode` can unpack."""


def sdk_client(
    base_url: str,
    *,
    key: str,
    headers: Mapping[str, str],
    max_retries: int,
    own_environment: bool,
    direct: bool = False,
) -> tuple[openai.AsyncOpenAI, TapTransport]:
    """Return an SDK client whose reads are stamped, and its tap.

    `own_environment`: this is OpenAI itself, so OPENAI_ORG_ID, OPENAI_CUSTOM_HEADERS and the like apply. The SDK would
    send them to any server. `direct`: use no proxy.
    """
    tap = TapTransport(base_url, direct=direct)
    with _openai_environment(visible=own_environment):
        client = _client_class(tap, direct=direct)(
            base_url=base_url,
            api_key=key,
            max_retries=max_retries,
            default_headers={**_ENCODINGS, **headers},
            http_client=openai.DefaultAsyncHttpx2Client(transport=tap),
        )
    return client, tap


def sync_client(
    base_url: str,
    log: AttemptLog,
    *,
    key: str,
    headers: Mapping[str, str],
    max_retries: int,
    own_environment: bool,
    direct: bool = False,
) -> tuple[openai.OpenAI, SyncTapTransport]:
    """Return a client for synchronous scenarios, which threads may share, and its tap.

    `log`: the tap of the target's asynchronous client, which records these attempts too.
    """
    tap = SyncTapTransport(base_url, log, direct=direct)
    with _openai_environment(visible=own_environment):
        client = openai.OpenAI(
            base_url=base_url,
            api_key=key,
            max_retries=max_retries,
            default_headers={**_ENCODINGS, **headers},
            http_client=openai.DefaultHttpx2Client(transport=tap),
        )
    return client, tap


def _client_class(tap: TapTransport, *, direct: bool) -> type[openai.AsyncOpenAI]:
    """Return the SDK's client class with a measured `responses.connect`, which does not pass the transport."""

    class Client(openai.AsyncOpenAI):
        @cached_property
        def responses(self) -> AsyncResponses:
            from bench.clients.sdk.websocket_tap import TapResponses  # noqa: PLC0415  (53 ms that only WebSocket scenarios need)

            return TapResponses(self, tap, direct=direct)

    return Client


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
