"""Write the pages and tables that follow from the code.

    python -m tools.docs.generate

These are docs/metrics.md, docs/records.md, docs/formats.md, docs/cli.md and docs/scenarios.md; the tables of scripts in
docs/simulator.md; the rules in docs/doctor.md; the README's table of scenarios; and docs/bench.schema.json for editors.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from bench.cli.main import cli
from bench.core.results.metrics.registry import glossary_markdown
from bench.core.results.row import COLUMNS, Row
from bench.core.script import Fault, Item, Turn, Write
from bench.records.schema import SCHEMA_VERSION, TABLES
from tools.docs.config_schema import config_schema
from tools.docs.conformance_page import streams_markdown
from tools.docs.doctor_page import doctor_markdown
from tools.docs.doctor_reference import reference_markdown
from tools.docs.formats_page import field_docs, formats_markdown
from tools.docs.scenario_page import modes_markdown, scenarios_markdown

DOCS = Path(__file__).parents[2] / "docs"

CLI_HEAD = """# Command line

What `bench` says about itself (`bench COMMAND --help`); `streambench` and `python -m bench` are the same command.
Progress and notices go to stderr, results to stdout. An option beats [`bench.toml`](targets.md).
"""

RECORDS_HEAD = f"""# Records

A run is a folder, `reports/RUN-ID/`. Everything in a report comes from these files; `bench report RUN` rebuilds it.

| file | |
| --- | --- |
| `plan.json` | cells, and all trials in their order with their nonces; written before the first measured request |
| `manifest.json` | schema version ({SCHEMA_VERSION}), versions, machine, targets, settings, redacted command \
line, the `baseline` target and model that were asked for, a hash of each metric's definition (`definitions`); `ended` \
is null while the run lasts and when it was killed |
| `journal.jsonl` | only during a run, and after a killed one: a line for each finished trial, with its rows of all \
tables |
| `TABLE.parquet` | the tables below, made of the journal when the run ends |
| `summary.csv`, `summary.json` | every number of the report; the format is below |
| `report.md`, `report.html` | for people |

Times are int64 nanoseconds since the run's start (`manifest.json: t0_mono_ns`, on `time.perf_counter_ns`). Missing is
null, never 0 or NaN. A `label` is a string that repeats, stored as a dictionary. Prompts are not stored; results only
with `--store-text`, else their length and hash.

The manifest discloses what may explain a number, and only what is listed here. `environment`: processors (model,
number, governor, turbo), memory, limits of the control group, load and pressure at the start, clock and its smallest
step, event loop, Python's build, the names of proxy variables that are set, and commit and state of the git repository
of the current folder (`project_commit`, `project_dirty`). `versions`: Python, OpenSSL and the packages that matter.
`targets`: by target what preflight saw: HTTP and TLS version, cipher, address family, whether there is a proxy, the
median time of three plain TCP connects (about a round trip), the time to look the name up (perhaps from a cache), the
headers `server`, `via`, `x-powered-by` and `openai-version`, and `system_fingerprint`. No value of an environment
variable, no header that is sent, no address and no host name of this machine is stored.
"""

CSV_HEAD = """## summary.csv

One row for each number. The columns and their order are a public format.

| column | type | |
| --- | --- | --- |
"""

BEGIN = "<!-- written by tools/docs/generate.py -->\n"
END = "<!-- end -->\n"
SCRIPT_PARTS: dict[str, type[BaseModel]] = {"A turn": Turn, "An item": Item, "A fault": Fault, "A write": Write}
KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
}

CSV_DOCS = {
    "metric": "One of the [metrics](metrics.md), or what a plugin recorded",
    "high": "The upper end of the same interval",
    "note": "Why there is no estimate, or what to know about it",
}
"""Columns of `Row` that neither say what they are nor stand in the table `trials`."""


def pages() -> dict[Path, str]:
    """Every generated page."""
    return {
        DOCS / "metrics.md": glossary_markdown(),
        DOCS / "records.md": "\n".join([RECORDS_HEAD, *map(table, TABLES), CSV_HEAD + "\n".join(csv_lines()) + "\n"]),
        DOCS / "formats.md": formats_markdown(csv_lines()) + doctor_markdown(),
        DOCS / "bench.schema.json": config_schema(),
        DOCS / "cli.md": "\n".join([CLI_HEAD, *sections()]),
        DOCS / "scenarios.md": scenarios_markdown(),
        DOCS.parent / "README.md": replace_between_marks(
            (DOCS.parent / "README.md").read_text("utf-8"), modes_markdown()
        ),
        DOCS / "conformance.md": replace_between_marks(
            (DOCS / "conformance.md").read_text("utf-8"), streams_markdown()
        ),
        DOCS / "doctor.md": replace_between_marks((DOCS / "doctor.md").read_text("utf-8"), reference_markdown()),
        DOCS / "simulator.md": with_scripts((DOCS / "simulator.md").read_text("utf-8")),
    }


def table(name: str) -> str:
    """One table of a run folder."""
    lines = [f"| `{c.name}` | {c.type} | {c.unit} | {c.doc} |" for c in TABLES[name]]
    return "\n".join([f"## {name}\n", "| column | type | unit | |", "| --- | --- | --- | --- |", *lines, ""])


def with_scripts(page: str) -> str:
    """Put the tables of the script format into the simulator's page."""
    return replace_between_marks(page, "".join(script_table(title, model) for title, model in SCRIPT_PARTS.items()))


def replace_between_marks(page: str, text: str) -> str:
    """Replace what stands between the two marks of a page."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return "".join([before, BEGIN, "\n", text, END, after])


def script_table(title: str, model: type[BaseModel]) -> str:
    """Write the table of the keys of one part of a script."""
    fields = model.model_json_schema()["properties"]
    lines = [f"| `{name}` | {field['description']} | {kind(field)} |" for name, field in fields.items()]
    return "\n".join([f"{title}:\n", "| key | | value |", "| --- | --- | --- |", *lines, "", ""])


def kind(field: dict[str, Any]) -> str:
    """Describe the values of a key, and its default if there is one to name."""
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    if "enum" in field:
        words = ", ".join(f"`{value}`" for value in field["enum"])
    else:
        words = " or ".join(f"{KINDS[option['type']]}{limits(option)}" for option in options)
    default = json.dumps(field.get("default")).replace('"', "`")
    return words if default in ("null", "[]", "{}", "``") else f"{words}; else {default}"


def limits(option: dict[str, Any]) -> str:
    """Describe the range of a number."""
    if "maximum" in option:
        return f", {option.get('minimum', 0):,} to {option['maximum']:,}"
    return f", {option['minimum']:,} or more" if "minimum" in option else ""


def csv_lines() -> Iterator[str]:
    """Yield a row for each column of summary.csv."""
    known = {column.name: column.doc for column in TABLES["trials"]} | CSV_DOCS | field_docs(Row)
    for name in COLUMNS:
        type_ = Row.__annotations__[name].replace(" | None", ", may be empty")
        doc = known[name].rstrip(".").replace("None: ", "Empty: ").replace("None", "empty")
        yield f"| `{name}` | {type_} | {doc} |"


def sections() -> Iterator[str]:
    """Yield the help of `bench` and of each command."""
    top = click.Context(cli, info_name="bench", terminal_width=100, **cli.context_settings)
    yield section(top)
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        assert command is not None  # noqa: S101  (for the type checker)
        yield section(command.context_class(command, top, info_name=name, terminal_width=100))


def section(context: click.Context) -> str:
    """Write one command's help as a terminal of 100 columns shows it."""
    return f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
