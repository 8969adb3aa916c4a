"""The format of summary.json, made of the classes it comes from: for docs/formats.md, and to hold files against."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from bench.core.results.comparison import Change, Comparison, Ranking, RankingEntry
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Claim, ClaimPart, Failure, Knee, Outlier, Trust
from bench.reports.data_files import CHANGE

Number = float | Literal["inf", "-inf"]
STRICT = ConfigDict(extra="forbid", strict=True)
VERDICT = ("verdict", "pairs", "invalid", "saturated", "notes")
"""Of a cell."""

HEAD = """# Formats for programs

What a run leaves for other programs. A test holds real files against this page.

| file | what it is for |
| --- | --- |
| `summary.csv` | every number of the report, one row each; read it with any tool |
| `summary.json` | the same rows, with verdicts, claims, failures and comparisons; `bench report RUN --json` prints it |
| `compare.json` | a run beside another one: `bench compare A B --json` prints it |
| `*.parquet` | [every trial, attempt, event and piece](records.md), for questions that the report does not answer |
| `manifest.json`, `plan.json` | [how it was measured](records.md) |

`--export NAME=FILE` writes one of them (`csv`, `json`, or what [a plugin](writing-a-plugin.md) registers) to another
place, `NAME=-` to stdout.

Rules for all of them:

- A time is in ms, a `ratio` or `share` is a fraction (0.02 is 2 %); every number has its unit beside it.
- A number that may not be printed is missing (empty in CSV, null in JSON), never 0, and `note` says why. So is the end
  of an interval that cannot be given.
- Infinity is real: a failed request never arrived. It is `inf` in CSV and the string `"inf"` in JSON, which has no
  number for it.
- A name or a member may be added in any version. One is only taken away, renamed or given another meaning with a new
  major `schema_version`.
"""

CSV_HEAD = """## summary.csv

UTF-8 with a line of names, comma-separated, quoted where need be; these columns in this order.

| column | type | |
| --- | --- | --- |
"""

TOP: Mapping[str, tuple[Any, str]] = {
    "run_id": (str, "The run's folder"),
    "name": (str | None, "What `--name` said"),
    "created": (str, "When the run began, UTC"),
    "ended": (str | None, "`finished`, `interrupted`, or who was lost; null: it was killed"),
    "schema_version": (str, "Of the records and of this file"),
    "headline": (str, "Host and model, and whether it is SIMULATED or real"),
    "answer": (str, "Does streaming help here, and what does it cost? One sentence"),
    "trust": (Trust, "Can the run be believed?"),
    "notes": (tuple[str, ...], "What the run itself had to say"),
    "verdicts": (tuple[Cell, ...], "A verdict for each cell"),
    "claims": (tuple[Claim, ...], "What is said about streaming, put to the test"),
    "knees": (tuple[Knee, ...], "Up to which load a sweep kept to its limits"),
    "rankings": (tuple[Ranking, ...], "Where several targets or models did the same work"),
    "comparisons": (tuple[Comparison, ...], "With the target or model named as the baseline of this run"),
    "failures": (tuple[Failure, ...], "Failed trials, at most 1000"),
    "failures_unlisted": (int, "How many more there are"),
    "outliers": (tuple[Outlier, ...], "Ok trials far from the others, the farthest first"),
    "outliers_unlisted": (int, "How many more there are"),
    "rows": (tuple[Row, ...], "The rows of summary.csv: its columns are the members"),
}
SAID: Mapping[str, str] = {
    "verdict": "In a word or a sentence, by the intervals",
    "n": "What it rests on",
    "high": "The upper end of the same interval",
    "difference_low": "95 % interval of `difference`",
    "difference_high": "The upper end of the same interval",
    "note": "Why there is no number, or what to know about it",
    "notes": "What to know about it",
    "delivery": "`streamed`, `blocking` or `paired`",
    "statement": "The claim in words",
    "parts": "Each thing that it is said of",
    "baseline": "What it is compared with: a target or model of this run",
    "current": "What is compared",
    "metric": "One of the [metrics](metrics.md)",
    "unit": "Of `difference`",
    "statistic": "As in summary.csv",
    "better": "Which direction is good",
    "trial_id": "As in the [records](records.md)",
    "cell": "Its cell, as the report calls it",
    "status": "[Class of the failure](records.md)",
    "client_id": "The request's id, as it was sent",
    "server_id": "The request's id, as the server called it; empty where it said none",
    "error": "What was said, without control characters",
    "ms": "How long it took",
}
"""Members that do not say what they are where they are defined."""
PARTS: Sequence[tuple[str, type]] = (
    ("trust", Trust),
    ("verdicts", Cell),
    ("claims", Claim),
    ("claims: parts", ClaimPart),
    ("knees", Knee),
    ("rankings", Ranking),
    ("rankings: entries", RankingEntry),
    ("comparisons", Comparison),
    ("comparisons: changes", Change),
    ("failures", Failure),
    ("outliers", Outlier),
)


def summary_model() -> type[BaseModel]:
    """Return the strict model of a summary.json: `model_validate_json` refuses any other member or type."""
    fields = {name: (_type(hint), Field(description=said)) for name, (hint, said) in TOP.items()}
    return create_model("SummaryJson", __config__=STRICT, **fields)  # type: ignore[call-overload, no-any-return]


@cache
def model_of(class_: type) -> type[BaseModel]:
    """Return the strict model of one part, as the JSON has it."""
    docs, members = field_docs(class_), members_of(class_)
    fields = {name: (_type(hint), Field(description=docs.get(name) or SAID.get(name, ""))) for name, hint in members}
    return create_model(f"{class_.__name__}Json", __config__=STRICT, **fields)  # type: ignore[call-overload, no-any-return]


def members_of(class_: type) -> list[tuple[str, Any]]:
    """List the members of a part and their types; the branches are the parts that JSON has otherwise."""
    key = list(get_type_hints(CellKey).items())
    hints = get_type_hints(class_, None, _names())
    if class_ is Cell:
        return [*key, *((name, hints[name]) for name in VERDICT)]
    if class_ is RankingEntry:
        return [*key, ("name", str)]
    if class_ is Change:
        return [*key, *((name, hints[name]) for name in CHANGE)]
    if class_ is Comparison:
        sides = [("baseline", str), ("current", str)]
        return [("kind", hints["kind"]), *sides, *((name, hints[name]) for name in ("changes", "watermarks"))]
    return list(hints.items())


def _names() -> dict[str, Any]:
    return {"Comparison": Comparison, "Ranking": Ranking, "Row": Row, "CellKey": CellKey}


def _type(hint: Any) -> Any:
    """Translate a type to JSON: tuples are lists, infinite numbers text, and our classes models."""
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return list[_type(inner[0])] if inner[-1] is ... else list[_union(inner)]  # type: ignore[misc]
    if get_origin(hint) in {UnionType, Union}:
        return _union(get_args(hint))
    if get_origin(hint) is Sequence:
        return list[_type(get_args(hint)[0])]  # type: ignore[misc]
    if get_origin(hint) is Mapping:
        return dict[str, _type(get_args(hint)[1])]  # type: ignore[misc]
    if hint is float:
        return Number
    if isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields")):
        return model_of(hint)
    return hint


def _union(hints: Sequence[Any]) -> Any:
    return Union[tuple(_type(hint) for hint in hints)]  # noqa: UP007  (of a tuple)


def field_docs(class_: type) -> dict[str, str]:
    """Read the strings below the fields of a class: name -> text."""
    (node,) = ast.parse(inspect.getsource(class_)).body
    assert isinstance(node, ast.ClassDef)  # noqa: S101  (for the type checker)
    docs = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return docs


def formats_markdown(csv_lines: Iterator[str]) -> str:
    """Write docs/formats.md."""
    top = [f"| `{name}` | {word(hint)} | {said} |" for name, (hint, said) in TOP.items()]
    head = ["## summary.json", "", "One object.", "", "| member | type | |", "| --- | --- | --- |", *top, ""]
    return "\n".join([HEAD, CSV_HEAD + "\n".join(csv_lines), "", *head, *_parts()])


def _parts() -> Iterator[str]:
    for title, class_ in PARTS:
        yield from (f"### {title}", "", " ".join(inspect.cleandoc(class_.__doc__ or "").split("\n\n")[0].split()), "")
        yield from ("| member | type | |", "| --- | --- | --- |")
        docs = {**field_docs(CellKey), **SAID, **field_docs(class_)}
        members = members_of(class_)
        if members[0][0] == CellKey._fields[0]:
            yield "| `scenario` to `load` | text | The cell: seven members, as the columns of summary.csv |"
            members = members[len(CellKey._fields) :]
        for name, hint in members:
            yield f"| `{name}` | {word(hint)} | {plain(docs.get(name, ''))} |"
        yield ""


def plain(said: str) -> str:
    """Translate the text of a field for readers of JSON: None is null."""
    return said.rstrip(".").replace("None", "null").replace("|", "\\|")


def word(hint: Any) -> str:
    """Name a type for readers of JSON."""
    words = {str: "text", int: "whole number", bool: "true or false", type(None): "null"}
    words |= {float: 'number, `"inf"` or `"-inf"`'}
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        return f"list of {_several(inner[0])}" if inner[-1] is ... else f"{len(inner)} numbers"
    if get_origin(hint) is Sequence:
        return f"list of {_several(get_args(hint)[0])}"
    if get_origin(hint) in {UnionType, Union}:
        return " or ".join(map(word, get_args(hint)))
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    return words.get(hint, "object")


def _several(hint: Any) -> str:
    plural = {str: "texts", float: "numbers"}
    return plural.get(hint, f"lists of {word(hint)}" if get_origin(hint) is tuple else "objects")
