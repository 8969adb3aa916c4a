"""Read texts and JSON lines from files; each error says where in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from bench.core.errors import BenchError


def read_text(path: Path) -> str:
    """Read a file's text, without a byte-order mark, line ends as they are."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        *before, current = error.object[: error.start].decode().split("\n")
        place = f"{path}:{len(before) + 1}:{len(current) + 1}"
        raise BenchError(f"{place}: not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a NUL in the name
        raise BenchError(f"{str(path)!r}: cannot be read ({error})") from error


def read_json_lines(lines: IO[bytes], path: Path, remedy: str) -> Iterator[Any]:
    """Yield the value of each line, without a last line that was cut.

    Raises `BenchError` for any other damaged line; the error names the line of `path` and ends with the `remedy`.
    """
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise BenchError(f"{path}: line {number} is damaged ({error}); {remedy}") from error
