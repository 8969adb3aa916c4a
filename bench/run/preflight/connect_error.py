"""Say in a user's words why no connection came about."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx2


def why_unreachable(error: httpx2.RequestError, host: str) -> str | None:
    """Return what kept a request from reaching its server and what to do; None if it reached one."""
    causes = list(_causes(error))
    if isinstance(error, httpx2.ProxyError):
        return f"the proxy refuses ({error}); check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    if isinstance(error, httpx2.ConnectTimeout):
        return f"no connection to {host} in time; check the address, firewall and proxy"
    if not isinstance(error, httpx2.ConnectError):
        return None
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"no server: the host name {host} is not known ({error}); check the address"
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"no secure connection to {host}: {_tls(cause)}"
    return f"no server at {host} ({error}); is it running?"


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message}; trust its certificate with SSL_CERT_FILE"
    if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"}:
        return "it does not speak TLS; write http:// instead of https://"
    return f"TLS fails ({error.reason or error})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
