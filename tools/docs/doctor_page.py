"""The format of the doctor's JSON, made of the classes it comes from: for docs/formats.md."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, create_model

from bench.doctor.diagnosis import MEANS, Check, Curve, Delay, Diagnosis, Difference, Finding, Fix, Floor, Hop, Shift
from bench.doctor.reports.json import SCHEMA_VERSION
from tools.docs.formats_page import field_docs, members_of, model_of, plain, word

HEAD = f"""## The doctor's JSON

What `bench doctor` found: one object, with the member `schema_version` (now {SCHEMA_VERSION}) and the others of
*diagnosis*. Times have three decimals. The verdicts:

| verdict | |
| --- | --- |
"""
PARTS: Sequence[type] = (Diagnosis, Hop, Finding, Fix, Curve, Check, Difference, Shift, Delay, Floor)
SAID: Mapping[str, str] = {
    "version": "Of streambench",
    "hops": "The endpoints that were asked, in the order in which they were named",
    "checks": "Connections and streams, apart from the verdicts",
    "differences": "Between hops, by the same requests in turns",
    "floor": "What the instrument itself adds",
    "notes": "What to know about it",
    "base_url": "Where it was asked, without what is secret",
    "model": "The model that was asked for",
    "hop": "The name of one of `hops`",
    "api": "Which API",
    "mode": "What was asked for",
    "verdict": "See above",
    "curve": "How the longest of its answers arrived; null: none did",
    "headers_ms": "After the request was sent; null: there were none",
    "end_ms": "When the answer was over, after the request was sent",
    "state": "`unknown`: it could not be seen",
    "baseline": "The hop that it is compared with",
    "value": "In ms",
    "low": "95 % interval of `value`",
    "high": "The upper end of the same interval",
    "n": "What it rests on",
    "note": "What to know about it",
    "p50_ms": "The median; null: not known",
    "p90_ms": "Nine in ten are not above it",
    "p99_ms": "99 in a hundred are not above it",
    "most_ms": "The largest",
    "sentence": "The same in words",
}
"""Members that do not say what they are where they are defined."""


def doctor_markdown() -> str:
    """Write the section of docs/formats.md about `bench doctor --json`."""
    verdicts = "".join(f"| `{verdict}` | {means} |\n" for verdict, means in MEANS.items())
    return f"\n{HEAD}{verdicts}\n" + "\n".join(line for class_ in PARTS for line in _part(class_))


def _part(class_: type) -> Iterator[str]:
    yield from (f"### doctor: {class_.__name__.lower()}", "", _doc(class_))
    yield from ("", "| member | type | |", "| --- | --- | --- |")
    docs = {**SAID, **field_docs(class_)}
    yield from (f"| `{name}` | {word(hint)} | {plain(docs[name])} |" for name, hint in members_of(class_))
    yield ""


def _doc(class_: type) -> str:
    return " ".join(inspect.cleandoc(class_.__doc__ or "").split()).replace("None:", "null:")


def doctor_model() -> type[BaseModel]:
    """Return the strict model of a diagnosis: `model_validate_json` refuses any other member or type."""
    return create_model("DoctorJson", __base__=model_of(Diagnosis), schema_version=str)
