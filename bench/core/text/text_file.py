"""Read text files that users give as UTF-8, each error with its place."""

from __future__ import annotations

from pathlib import Path

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
