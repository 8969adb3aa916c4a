"""Keep secrets out of everything that is written: known values in any usual encoding, and text like a key."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

HIDDEN = "***"
SHORTEST = 6
"""Shortest known secret in characters: shorter ones would hide ordinary words."""
_PATTERNS = (
    # Authorization: Bearer abc / "authorization": "Basic abc" / x-api-key=abc
    re.compile(
        r"""((?:authorization|api[-_]?key)\\?["']?\s*[:=]\s*\\?["']?(?:(?:bearer|basic|digest|token)\s+)?)[^\s"',;}\\]+""",
        re.IGNORECASE,
    ),
    re.compile(r"(\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"()(?<![A-Za-z0-9])(?:sk|gsk|xai|hf)[-_][A-Za-z0-9_-]{6,}"),
    # scheme://user:password@host
    re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@?#]+(?=@)", re.IGNORECASE),
)
_SHORT, _LABELS = 100, 1000
"""Length of texts whose result is cached, and number of them: names of events and the like come with every answer."""
_SHORT_HEADER = re.compile(r"(-[A-Za-z]*?H)(.*)", re.DOTALL)
"""`-H`, also after other short options (`-yH`), and a value that follows without a space."""


class Redactor:
    """Replaces secrets in text by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets for part in _parts(secret) for form in _forms(part)}
        longest_first = sorted(known, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if known else None
        self._label = lru_cache(_LABELS)(self._redact)

    def __call__(self, text: str) -> str:
        """Return the text without known secrets and without anything that looks like a key."""
        return self._label(text) if len(text) <= _SHORT else self._redact(text)

    def _redact(self, text: str) -> str:
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{HIDDEN}", text)
        # Again until none is left: what stands around a hidden one may, with the stars, make another.
        while self._known and self._known.search(text):
            text = self._known.sub(HIDDEN, text)
        return text


def redact_argv(argv: Sequence[str]) -> list[str]:
    """Return a command line that may be stored, without header values, keys, and user, password and query of URLs."""
    redact = Redactor(())
    hidden, expects_header = [], False
    for argument in argv:
        hidden.append(_header(argument) if expects_header else redact(_argument(argument)))
        short = _SHORT_HEADER.fullmatch(argument)
        expects_header = argument == "--header" or (short is not None and not short[2])
    return hidden


def _argument(argument: str) -> str:
    if argument.startswith("--header="):
        return f"--header={_header(argument.removeprefix('--header='))}"
    if short := _SHORT_HEADER.fullmatch(argument):
        return short[1] + (_header(short[2]) if short[2] else "")
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", lambda url: redact_url(url[0]), argument)


def _header(text: str) -> str:
    name, colon, _ = text.partition(":")
    return f"{name}: {HIDDEN}" if colon else HIDDEN


def redact_url(url: str) -> str:
    """Return the URL with user, password and query hidden."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    user, at, host = parts.netloc.rpartition("@")
    place = f"{HIDDEN if user else ''}{at}{host}"
    return urlunsplit(
        (parts.scheme, place, parts.path, HIDDEN if parts.query else "", HIDDEN if parts.fragment else "")
    )


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret, and the secret without a scheme in front (`Bearer abc` → `abc`), if they are long enough."""
    _, space, rest = secret.strip().partition(" ")
    for part in (secret.strip(), rest.strip() if space else ""):
        if len(part) >= SHORTEST and part.strip("*"):
            yield part


def _forms(secret: str) -> Iterator[str]:
    """Yield the ways to write a secret: plain, in a URL, in JSON, in HTML, as Python shows it, within base64."""
    yield secret
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (html.escape(secret), html.escape(secret, quote=False), repr(secret)[1:-1])
    yield from _base64_forms(secret.encode("utf-8", "surrogatepass"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yield the characters of base64 text that a secret fully determines, at each of its three possible offsets."""
    for offset, first in ((0, 0), (1, 2), (2, 3)):
        last = (offset + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + secret)[first:last].decode()
