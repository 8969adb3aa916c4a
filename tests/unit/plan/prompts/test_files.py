"""Prompt files in every shape a user may bring."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.plan.prompts.files import load_prompts, parse_csv, parse_jsonl

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: bool(text.strip()))
OTHER = st.dictionaries(TEXT.map("x_{}".format), st.none() | st.booleans() | st.integers() | TEXT, max_size=3)
KNOWN = st.fixed_dictionaries({"prompt": TEXT}, optional={"id": TEXT, "output_tokens": st.integers(1, 10**6)})
ROWS = st.lists(st.builds(lambda known, other: other | known, KNOWN, OTHER), min_size=1, max_size=5)


def load(folder: Path, name: str, content: str | bytes) -> list[dict[str, Any]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_prompts(str(path), io.StringIO())


def stdin(text: str) -> list[dict[str, Any]]:
    return load_prompts("-", io.StringIO(text))


@given(rows=ROWS, ascii_only=st.booleans(), end=st.sampled_from(["\n", "\r\n", "\n\n \n"]))
def test_jsonl_comes_back(rows: list[dict[str, Any]], ascii_only: bool, end: str) -> None:
    """What is written as JSONL is read as it was, with any line ends and blank lines between."""
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + end for row in rows)
    assert list(parse_jsonl(text, "f")) == rows


@given(st.lists(st.tuples(TEXT, st.integers(1, 999), st.text(st.characters(codec="utf-8"))), min_size=1, max_size=5))
def test_csv_comes_back(rows: list[tuple[str, int, str]]) -> None:
    """What the csv module writes is read as it was, line breaks and quotes in cells included."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "output_tokens", "note"), *rows])
    expected = [{"prompt": prompt, "output_tokens": tokens, "note": note} for prompt, tokens, note in rows]
    assert list(parse_csv(file.getvalue(), "f")) == expected


@given(st.text(), st.sampled_from([parse_jsonl, parse_csv]))
def test_any_text_is_prompts_or_one_clear_error(text: str, parse: Any) -> None:
    """No text makes the parsers fail in any other way than with a place and a reason."""
    try:
        rows, message = list(parse(text, "file")), "file:"
    except BenchError as error:
        rows, message = [], str(error)
    assert message.startswith("file:")
    assert all(("prompt" in row) != ("messages" in row) for row in rows)


@pytest.mark.parametrize("name", ["p.jsonl", "p.ndjson", "p.json", "P.JSONL"])
def test_a_jsonl_file(tmp_path: Path, name: str) -> None:
    """A JSONL file with a byte-order mark, CRLF, blank lines, messages, ids and further columns is read."""
    lines = [
        {"prompt": "One\u2028two", "id": 7, "lang": "en"},
        {"messages": MESSAGES, "output_tokens": 5, "id": None, "prompt": None},
    ]
    text = "\ufeff\r\n" + "\r\n\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert load(tmp_path, name, text) == [
        {"prompt": "One\u2028two", "id": "7", "lang": "en"},
        {"messages": MESSAGES, "output_tokens": 5},
    ]


def test_a_csv_file(tmp_path: Path) -> None:
    """A CSV file: empty cells of known columns are missing, messages are JSON, other cells stay text."""
    cell = json.dumps(MESSAGES).replace('"', '""')
    text = f'\ufeffid,prompt,messages,output_tokens,topic\r\na,"Line\r\nbreak",,,\r\n\r\n,,"{cell}",12,x\r\n'
    assert load(tmp_path, "p.csv", text) == [
        {"id": "a", "prompt": "Line\r\nbreak", "topic": ""},
        {"messages": MESSAGES, "output_tokens": 12, "topic": "x"},
    ]


def test_a_long_cell(tmp_path: Path) -> None:
    """A prompt longer than the csv module's own limit is read whole."""
    [row] = load(tmp_path, "p.csv", f"prompt\n{'word ' * 60_000}\n")
    assert row["prompt"] == "word " * 60_000


def test_standard_input() -> None:
    """`-` is JSONL when the first line begins with a brace, else one prompt a line."""
    assert stdin('\ufeff\n {"prompt": "a"}\n') == [{"prompt": "a"}]
    assert stdin("\ufeffFirst\r\n\r\n 42 \nsay {x}") == [{"prompt": "First"}, {"prompt": "42"}, {"prompt": "say {x}"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": }', "2:12: not valid JSON"),
        ('{"prompt": "a"', "2:15: not valid JSON"),
        ('["a"]', "2:1: expected one JSON object a line"),
        ('{"x": 1}', "2:1: neither 'prompt' nor 'messages'"),
        ('{"prompt": "a", "messages": [{"role": "user", "content": "b"}]}', "2:1: both 'prompt' and 'messages'"),
        ('{"prompt": " "}', "2:2: 'prompt' must be text"),
        ('{"prompt": 3}', "2:2: 'prompt' must be text"),
        ('{"messages": []}', "2:2: 'messages' must be a list"),
        ('{"messages": [{"role": "user"}]}', "2:2: 'messages' must be a list"),
        ('{"prompt": "a", "output_tokens": 0}', "2:17: 'output_tokens' must be a positive whole number"),
        ('{"prompt": "a", "output_tokens": true}', "2:17: 'output_tokens' must be a positive whole number"),
        ('{"prompt": "a", "output_tokens": 5.0}', "2:17: 'output_tokens' must be a positive whole number"),
        ('{"prompt": "a", "id": [1]}', "2:17: 'id' must be text"),
        ('  {"x": {"id": [1], "é": "\\""}, "prompt" : "a" , "id":[1] }', "2:50: 'id' must be text"),
        ('{"id": 1, "prompt": "a", "id": [1]}', "2:26: 'id' must be text"),
        ('{"prompt": "a", "shared_prefix": 1}', "2:17: 'shared_prefix' must be text"),
        ('{"prompt": "\\ud800"}', "2:1: half of a surrogate pair"),
        ('{"prompt": "a", "x": NaN}', "2:1: not usable as JSON"),
        (f'{{"prompt": "a", "x": {"1" * 5000}}}', "2:1: not usable as JSON"),
        ("[" * 100_000, "2:1: not usable as JSON"),
    ],
)
def test_jsonl_errors_say_where(tmp_path: Path, line: str, message: str) -> None:
    """A line that is no prompt is an error with file, line and column."""
    with pytest.raises(BenchError) as caught:
        load(tmp_path, "p.jsonl", f'{{"prompt": "fine"}}\n{line}\n')
    assert str(caught.value).startswith(f"{tmp_path / 'p.jsonl'}:{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", ":1:1: the header has neither a column 'prompt' nor 'messages'"),
        ("prompt,prompt\n1,2\n", ":1:1: the header has an empty name or one name twice"),
        ("prompt,\n1,2\n", ":1:1: the header has an empty name or one name twice"),
        ('prompt,x\n"a\nb",1\nc\n', ":4:2: 1 cells, but the header has 2"),
        ("prompt,x\na,1,2\n", ":2:3: 3 cells, but the header has 2"),
        ("prompt,x\n,1\n", ":2:1: neither 'prompt' nor 'messages'"),
        ('prompt,x\n"a,1\n', ":2:1: not valid CSV"),
        ("prompt,output_tokens\na,many\n", ":2:2: 'output_tokens' must be"),
        (f"prompt,output_tokens\na,{'9' * 5000}\n", ":2:2: 'output_tokens' must be"),
        ("messages\n[}\n", ":2:1: column messages:1:2: not valid JSON"),
    ],
)
def test_csv_errors_say_where(tmp_path: Path, text: str, message: str) -> None:
    """A row that is no prompt is an error with file and the line it begins on."""
    with pytest.raises(BenchError) as caught:
        load(tmp_path, "p.csv", text)
    assert f"p.csv{message}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"), [("p.jsonl", ""), ("p.jsonl", "\ufeff\n \n"), ("p.csv", ""), ("p.csv", "prompt\n")]
)
def test_an_empty_file(tmp_path: Path, name: str, text: str) -> None:
    """A file without prompts is an error."""
    with pytest.raises(BenchError, match=f"{name}: no prompts in it"):
        load(tmp_path, name, text)


def test_empty_standard_input() -> None:
    """Nothing on standard input is an error that calls it by name."""
    with pytest.raises(BenchError, match=r"^standard input: no prompts in it"):
        stdin("\n")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, an unknown ending and bytes that are no UTF-8 are one line each."""
    (tmp_path / "d.jsonl").mkdir()
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "a"}\n{"prompt": "é'.encode() + b'\xe9"}')
    for name, message in (
        ("none.jsonl", r"none\.jsonl: cannot be read \(No such file"),
        ("d.jsonl", r"d\.jsonl: cannot be read \(Is a directory"),
        ("p.txt", r"p\.txt: unknown kind of prompt file"),
        ("latin.jsonl", r"latin\.jsonl:2:14: not UTF-8"),
    ):
        with pytest.raises(BenchError, match=message):
            load_prompts(str(tmp_path / name), io.StringIO())
