"""Write files completely or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_whole(texts: Mapping[Path, bytes]) -> None:
    """Write the files; none is written in part, and none is replaced before all are written. Raises OSError."""
    parts = {path: path.with_name(path.name + ".part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_bytes(text)
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            if part.is_file():
                part.unlink()
