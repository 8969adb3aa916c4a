"""Write a file whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def write_whole(texts: Mapping[Path, bytes]) -> None:
    """Write the files; none is there in part, and none is replaced before all are written. OSError where it fails."""
    parts = {path: path.with_name(path.name + ".part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_bytes(text)
        for path, part in parts.items():
            part.replace(path)
    finally:
        _remove(parts.values())


def _remove(parts: Iterable[Path]) -> None:
    for part in parts:
        if part.is_file():
            part.unlink()
