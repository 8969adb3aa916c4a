"""Name the cells of a report: short, and unique in their run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.results.row import CellKey

OF_THE_SCENARIO = ("api", "client")
"""They belong to a scenario: said only where one scenario has several."""
WHOLE_RUN = "(all)"
"""`scenario` of the rows that belong to all cells together; no plugin can take the name."""


def cell_key(cell: Mapping[str, Any]) -> CellKey:
    """Return the key of a cell of the plan; parameters as JSON text."""
    params = cell.get("params") or ""
    text = params if isinstance(params, str) else json.dumps(params, sort_keys=True)
    return CellKey(**{**{name: str(cell[name]) for name in CellKey._fields if name != "params"}, "params": text})


def whole_run_key(cells: Sequence[Mapping[str, Any]]) -> CellKey:
    """Return the key of all cells together: fields that they share, and empty those that they do not."""
    keys = [cell_key(cell) for cell in cells]
    values = {name: {getattr(key, name) for key in keys} for name in CellKey._fields}
    shared = {name: found.pop() if len(found) == 1 else "" for name, found in values.items()}
    return CellKey(**{**shared, "scenario": WHOLE_RUN})


def cell_labels(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Label each cell by the scenario and whatever else differs, between its cells or between all cells of the run."""
    keys = [cell_key(cell) for cell in cells]
    return [" ".join(filter(None, [key.scenario, _params(key, keys), *_other_names(key, keys)])) for key in keys]


def _other_names(key: CellKey, keys: Sequence[CellKey]) -> list[str]:
    own = [other for other in keys if other.scenario == key.scenario]
    names = [name for name in CellKey._fields if name not in {"scenario", "params"}]
    among = {name: own if name in OF_THE_SCENARIO else keys for name in names}
    return [getattr(key, name) for name in names if len({getattr(other, name) for other in among[name]}) > 1]


def _params(key: CellKey, keys: Sequence[CellKey]) -> str:
    """Write the parameters in which the scenario's cells differ: `top_k=3`."""
    texts = sorted({other.params for other in keys if other.scenario == key.scenario})
    if len(texts) < 2:
        return ""
    own, *others = map(_fields, [key.params, *texts])
    return " ".join(f"{name}={_text(x)}" for name, x in own.items() if any(other.get(name) != x for other in others))


def _fields(params: str) -> dict[str, Any]:
    try:
        fields = json.loads(params)
    except json.JSONDecodeError:
        return {"params": params}
    return fields if isinstance(fields, dict) else {"params": params}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
