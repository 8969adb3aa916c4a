"""Read prompt files (JSONL, CSV or standard input) into one dict per prompt, checked, each error with its place."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from bench.core.errors import BenchError
from bench.core.text.text_file import read_text

_JSON_LINES = {".jsonl", ".ndjson", ".json"}


def load_prompts(source: str, stdin: TextIO) -> list[dict[str, Any]]:
    """Read the prompts of a file, or of `stdin` when the source is `-`; at least one.

    Each is a dict with `prompt` (text) or `messages` (a list of {role, content}), where given `id` (text),
    `output_tokens` (a positive int) and `shared_prefix` (text that stands in front of it, with the nonce between), and
    whatever other columns the file has.

    `.jsonl`, `.ndjson`, `.json`: one JSON object a line. `.csv`: a header, then a row each; an empty cell of these is a
    missing one, `messages` is written as JSON. `-`: JSONL when the first line begins with `{`, else every line is one
    prompt. Blank lines are skipped.

    An error names file, line and column; the column of a CSV file is the number of the cell.
    """
    name = "standard input" if source == "-" else source
    rows = list(_stdin_rows(stdin, name) if source == "-" else _file_rows(Path(source), name))
    if not rows:
        raise BenchError(f"{name}: no prompts in it; give one JSON object a line, or a CSV file with a header")
    return rows


def _stdin_rows(stdin: TextIO, name: str) -> Iterator[dict[str, Any]]:
    try:
        text = stdin.read().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BenchError(f"{name}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if text.lstrip().startswith("{"):
        return parse_jsonl(text, name)
    return ({"prompt": line.strip()} for _, line in _lines(text))


def _file_rows(path: Path, name: str) -> Iterator[dict[str, Any]]:
    parse = parse_csv if path.suffix.lower() == ".csv" else parse_jsonl
    if path.suffix.lower() not in {".csv", *_JSON_LINES}:
        raise BenchError(f"{name}: unknown kind of prompt file; name it .jsonl or .csv, or pipe it in with --prompts -")
    return parse(read_text(path), name)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that are not blank. Only LF ends a line: JSON may hold U+2028 and the like."""
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def parse_jsonl(text: str, name: str) -> Iterator[dict[str, Any]]:
    """Parse a text with one JSON object a line."""
    for number, line in _lines(text):
        row = _json(line, name, number)
        if not isinstance(row, dict):
            _fail(f"{name}:{number}:1", 'expected one JSON object a line, for instance {"prompt": "Hello"}')
        yield _check_row(row, f"{name}:{number}", partial(_column_in_json, line))


def parse_csv(text: str, name: str) -> Iterator[dict[str, Any]]:
    """Parse a CSV text with a header."""
    rows = _csv_rows(text, name)
    number, header = next(rows, (1, []))
    if header and not {"prompt", "messages"} & set(header):
        _fail(f"{name}:{number}:1", "the header has neither a column 'prompt' nor 'messages'")
    if len(set(header)) < len(header) or "" in header:
        _fail(f"{name}:{number}:1", "the header has an empty name or one name twice")
    for number, cells in rows:
        if len(cells) != len(header):
            place = f"{name}:{number}:{min(len(cells), len(header)) + 1}"
            _fail(place, f"{len(cells)} cells, but the header has {len(header)}")
        row = _from_cells(dict(zip(header, cells, strict=True)), name, number, header)
        yield _check_row(row, f"{name}:{number}", lambda key: header.index(key) + 1)


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield first line and cells of every row that is not blank."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # a long prompt is no mistake
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for cells in reader:
            if cells:
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        _fail(f"{name}:{begins}:1", f"not valid CSV ({error})")


def _from_cells(row: dict[str, str], name: str, number: int, header: list[str]) -> dict[str, Any]:
    """Convert cells to values: the known columns get their types, empty ones of them are left out."""
    values: dict[str, Any] = {key: cell for key, cell in row.items() if cell or key not in _KNOWN}
    if "messages" in values:
        try:
            values["messages"] = _json(values["messages"], "column messages", 1)
        except BenchError as error:
            _fail(f"{name}:{number}:{header.index('messages') + 1}", str(error))
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", values.get("output_tokens", "")):
        values["output_tokens"] = int(values["output_tokens"])
    return values


_KNOWN = {"prompt", "messages", "id", "output_tokens", "shared_prefix"}


def _json(text: str, name: str, number: int) -> Any:
    try:
        value = json.loads(text, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        _fail(f"{name}:{number + error.lineno - 1}:{error.colno}", f"not valid JSON ({error.msg})")
    except UnicodeEncodeError:
        _fail(f"{name}:{number}:1", "half of a surrogate pair (\\ud800 to \\udfff alone) is no text")
    except (ValueError, RecursionError) as error:
        _fail(f"{name}:{number}:1", f"not usable as JSON ({error})")
    return value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _column_in_json(line: str, key: str) -> int:
    """Find the key in a line that is one JSON object; the last one counts, as it does for its value."""
    decoder, column = json.JSONDecoder(), 1
    place = line.index("{") + 1
    while (place := _skip_marks(line, place)) < len(line) and line[place] == '"':
        name, end = decoder.raw_decode(line, place)
        column = place + 1 if name == key else column
        _, place = decoder.raw_decode(line, _skip_marks(line, end))
    return column


def _skip_marks(line: str, place: int) -> int:
    """Return the place behind the white space, commas and colons that stand at `place`."""
    found = _MARKS.match(line, place)
    return found.end() if found else place


_MARKS = re.compile(r"[ \t\r\n,:]*")


def _check_row(row: dict[str, Any], line: str, column_of: Callable[[str], int]) -> dict[str, Any]:
    """Return a prompt's row without nulls of known keys. BenchError for what is no prompt.

    `line` is the file with the number of the line.
    """
    row = {key: value for key, value in row.items() if value is not None or key not in _KNOWN}
    if ("prompt" in row) == ("messages" in row):
        both = "both 'prompt' and 'messages'; keep one"
        _fail(f"{line}:1", both if "prompt" in row else "neither 'prompt' nor 'messages'")
    for key, (fits, what) in _CHECKS.items():
        if key in row and not fits(row[key]):
            _fail(f"{line}:{column_of(key)}", f"'{key}' must be {what}")
    return row | ({"id": str(row["id"])} if "id" in row else {})


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_length(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_messages(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and _is_text(one.get("role")) and _is_text(one.get("content")) for one in value)
    )


_CHECKS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "prompt": (_is_text, "text that is not empty"),
    "messages": (_are_messages, 'a list of {"role": text, "content": text}, with at least one'),
    "output_tokens": (_is_length, "a positive whole number"),
    "id": (_is_id, "text or a whole number"),
    "shared_prefix": (_is_text, "text that is not empty"),
}


def _fail(place: str, what: str) -> NoReturn:
    raise BenchError(f"{place}: {what}")
