"""Read the message of an HTTP answer of any shape: OpenAI's errors, other servers' errors, plain text, web pages."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2

_LONGEST = 200


def content(response: httpx2.Response) -> dict[str, Any]:
    """Return the body as a JSON object, {} if it is none."""
    try:
        value = response.json()
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def from_web_page(response: httpx2.Response) -> bool:
    """Return True if the answer is a web page, served with success."""
    return response.is_success and _is_html(response)


def message_of(response: httpx2.Response) -> str:
    """Return the answer's message on one line: of an error object, a title, or the beginning of the body."""
    body = content(response)
    nested = error_field(response, "message") or body.get("error")
    words = nested or body.get("detail") or body.get("message") or _title(response) or response.text
    text = " ".join((words if isinstance(words, str) else json.dumps(words)).split())
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def error_field(response: httpx2.Response, name: str) -> str | None:
    """Return a text field of OpenAI's error object, None if the answer has none."""
    error = content(response).get("error")
    field = error.get(name) if isinstance(error, dict) else None
    return field if isinstance(field, str) else None


def names_model(response: httpx2.Response, model: str) -> bool:
    """Return True if this error is about the model, by OpenAI's code or parameter, else by its words."""
    if error_field(response, "code") == "model_not_found" or error_field(response, "param") == "model":
        return True
    text = message_of(response)
    return response.status_code in {400, 404, 422} and model in text and "model" in text.replace(model, "").lower()


def _is_html(response: httpx2.Response) -> bool:
    start = response.text[:_LONGEST].lstrip().lower()
    return start.startswith(("<!doctype html", "<html"))


def _title(response: httpx2.Response) -> str | None:
    found = re.search(r"<title[^>]*>(.*?)</title>", response.text, re.IGNORECASE | re.DOTALL)
    return found[1] if found and _is_html(response) else None
