"""`--script FILE`: what the simulator answers, by model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.core.errors import BenchError
from bench.core.script import Turn
from bench.core.text.text_file import read_text


def read_scripts(path: Path) -> Mapping[str, Sequence[Turn]]:
    """Read the turns by model, `*` for every model: a JSON object of lists of turns, or of single turns.

    Raises `BenchError`, one line with the place, for anything else.
    """
    try:
        scripts = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BenchError(f"{path}:{error.lineno}:{error.colno}: not valid JSON ({error.msg})") from error
    except RecursionError as error:
        raise BenchError(f"{path}: nested too deeply") from error
    if not isinstance(scripts, dict) or not scripts:
        raise BenchError(f'{path}: expected a JSON object of turns by model, for instance {{"*": [{{"items": []}}]}}')
    return {name: _turns(f"{path}: {name}", turns) for name, turns in scripts.items()}


def _turns(where: str, turns: Any) -> Sequence[Turn]:
    listed = turns if isinstance(turns, list) else [turns]
    if not listed:
        raise BenchError(f"{where}: has no turn; leave it out for answers that are made up")
    return [_turn(f"{where}, turn {number}", turn) for number, turn in enumerate(listed)]


def _turn(where: str, turn: Any) -> Turn:
    try:
        return Turn.model_validate(turn)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise BenchError(f"{where}: {place + ': ' if place else ''}{first['msg']}") from error
