"""No secret survives."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.records.redact import HIDDEN, SHORTEST, Redactor, redact_argv

LETTERS = st.characters(codec="utf-8") | st.sampled_from('aA*"\\/ é')  # few letters: secrets that overlap
SECRETS = st.text(LETTERS, min_size=SHORTEST).filter(
    lambda text: len(text.strip()) >= SHORTEST and text.strip("* ") != "" and text == text.strip()
)
FORMS: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: quote(text, safe="").lower(),
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    html.escape,
    repr,
    lambda text: f"Bearer {text}",
]


@example(secret="a*****", before="a", after="*****", form=str)
@example(secret="ab cd ef", before="", after="", form=quote_plus)
@given(secret=SECRETS, before=st.text(LETTERS), after=st.text(LETTERS), form=st.sampled_from(FORMS))
def test_a_planted_secret_never_survives(secret: str, before: str, after: str, form: Callable[[str], str]) -> None:
    """In whatever form and surroundings a known secret is written, it is gone afterwards."""
    text = Redactor([secret])(before + form(secret) + after)
    assert HIDDEN in text
    assert secret not in text
    assert form(secret).strip("\"'") not in text


@given(secret=SECRETS, before=st.binary(max_size=8), after=st.binary(max_size=8))
def test_base64_of_a_secret_never_survives(secret: str, before: bytes, after: bytes) -> None:
    """Base64 of a text that holds the secret, such as `user:secret`, does not give it away."""
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    redacted = Redactor([secret])(encoded)
    first = math.ceil(len(before) * 8 / 6)
    last = len(before + secret.encode()) * 8 // 6
    assert HIDDEN in redacted
    assert len(redacted.replace(HIDDEN, "")) <= len(encoded) - (last - first)


@given(st.lists(SECRETS, max_size=4), st.text())
def test_redacting_twice_changes_nothing(secrets: list[str], text: str) -> None:
    """What was redacted once stays as it is."""
    redact = Redactor(secrets)
    assert redact(redact(text)) == redact(text)


def test_the_scheme_is_no_part_of_the_secret() -> None:
    """A header value is hidden whole and without its scheme."""
    redact = Redactor(["Bearer abcdef123"])
    assert redact("sent Bearer abcdef123, got abcdef123") == "sent ***, got ***"


def test_short_and_empty_values_are_left_alone() -> None:
    """Values too short to be a secret do not blank out ordinary words."""
    assert Redactor(["", "a", "blue"])("a blue sky") == "a blue sky"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Incorrect API key provided: sk-proj-abc_DEF-123.", "Incorrect API key provided: ***."),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"authorization": "Basic dXNlcjpwYXNz", "a": 1}', '{"authorization": "Basic ***", "a": 1}'),
        ("{'X-Api-Key': 'hunter2'}", "{'X-Api-Key': '***'}"),
        ("http://user:pass@host/v1", "http://***@host/v1"),
        ("a task-based risk-adjusted desk-booking", "a task-based risk-adjusted desk-booking"),
        ("the bearer of good news", "the bearer of good news"),
    ],
)
def test_what_looks_like_a_secret(text: str, redacted: str) -> None:
    """Keys and credentials that no one told us about are recognised by their shape; ordinary words are not."""
    assert Redactor([])(text) == redacted


def test_a_command_line() -> None:
    """Header values and credentials and queries of URLs are hidden; the rest of the command stays readable."""
    argv = "run text -H|X-Key: planted1|-HX-Key: planted2|--header=X: planted3|--header|planted4|--pairs|3"
    urls = (
        "--base-url|https://me:planted5@host/v1?token=planted6#planted7|--base-url=http://planted8@h|--api-key-env|KEY"
    )
    command = [*argv.replace("run text ", "run|text|").split("|"), *urls.split("|"), "sk-planted9"]
    assert redact_argv(command) == [
        "run",
        "text",
        "-H",
        "X-Key: ***",
        "-HX-Key: ***",
        "--header=X: ***",
        "--header",
        "***",
        "--pairs",
        "3",
        "--base-url",
        "https://***@host/v1?***#***",
        "--base-url=http://***@h",
        "--api-key-env",
        "KEY",
        "***",
    ]


@given(st.text(st.characters(codec="ascii"), min_size=1), st.sampled_from(["-H", "--header", "-yH"]))
def test_no_header_value_survives(value: str, option: str) -> None:
    """Whatever a header's value is, a stored command line does not hold it."""
    assert redact_argv([option, f"X-A: {value}"]) == [option, "X-A: ***"]
    assert redact_argv([f"-HX-A: {value}"]) == ["-HX-A: ***"]
    assert redact_argv([f"-yHX-A: {value}"]) == ["-yHX-A: ***"]
