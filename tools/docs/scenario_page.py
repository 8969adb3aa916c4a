"""docs/scenarios.md and the README's table of modes, from the built-in plugins themselves."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bench.core.params import field_defaults
from bench.core.plugins.loader import LoadedPlugin, load
from bench.core.scenario import API_NAMES, NEEDS, Scenario

TAGS: Mapping[str, str] = {
    "core": "what `bench run` measures when nothing is named; with `--api chat`, the `chat_` ones",
    "guide": "what guides to streaming recommend, and what it does",
    "connection": "what a connection costs, and an abandoned answer",
    "recovery": "streams that fail: how it is noticed, and three ways to go on",
    "agent": "tools: several calls at once, several rounds",
    "reasoning": "a model that thinks before it answers",
    "refusal": "a model that will not answer",
    "cancel": "a user who stops the answer",
    "sdk": "what the SDK's other ways of doing it cost: helpers, threads, WebSockets, length",
}
"""What the scenarios of each tag are about. The page has them in this order, under their first tag."""

HEAD = """# Scenarios

Every built-in streaming mode is one file of [`plugins/`](../plugins), to run, read and copy. `bench list` shows them
with your own; `bench run NAME` runs one, `bench run -t TAG` those with a tag, `bench run all` all of them. What is said
below stands in the files themselves.

Useful is the piece that sets TTFU. Blocking is what the streamed delivery is compared with, and what makes an answer
valid: one that is not is `invalid_result`, a failure. Every scenario has the [metrics](metrics.md) of all; Records are
its own numbers beside them, in `summary.csv` under the names given. Expect is what a run shows, and why.
What a target needs is said in the words that [`bench.toml`](targets.md) has for what one `lacks`.
"""

LABEL = re.compile(r"(Useful|Blocking|Records|Expect|(?:The )?[Tt]raps?): ")
"""What a paragraph begins with that is about one thing."""
BLOCK = re.compile(r"\n\n|\n(?=(?:Useful|Blocking|Records|Expect): )")


class Plugin(NamedTuple):
    """A file of the built-in folder."""

    file: str
    doc: str
    scenarios: tuple[Scenario, ...]


def scenarios_markdown() -> str:
    """Write the page: an overview by tag, one by file, then a section for each file."""
    plugins = built_in()
    return "\n".join([HEAD, *tag_table(plugins, ""), "", *overview(plugins), *needs_table(), *map(section, plugins)])


def modes_markdown() -> str:
    """Write the README's table: the tags and the scenarios of each."""
    return "\n".join([*tag_table(built_in(), "docs/scenarios.md"), "\n"])


def built_in() -> list[Plugin]:
    """List the files of the built-in folder, by first tag, then by name."""
    files: dict[str, list[tuple[Scenario, LoadedPlugin]]] = {}
    for scenario, found in load().scenarios.values():
        if found.path and found.source.startswith("built in"):
            files.setdefault(found.path.name, []).append((scenario, found))
    plugins = [Plugin(file, of[0][1].module.__doc__ or "", tuple(s for s, _ in of)) for file, of in files.items()]
    return sorted(plugins, key=lambda plugin: (list(TAGS).index(plugin.scenarios[0].tags[0]), plugin.file))


def tag_table(plugins: list[Plugin], page: str) -> list[str]:
    """Yield a row for each tag; each scenario links to its section."""
    rows = ["| `-t` | | scenarios |", "| --- | --- | --- |"]
    for tag, about in TAGS.items():
        links = [f"[`{s.name}`]({page}#{anchor(of)})" for _, _, of in plugins for s in of if tag in s.tags]
        rows.append(f"| `{tag}` | {about} | {', '.join(links)} |")
    return rows


def overview(plugins: list[Plugin]) -> Iterator[str]:
    """One line for each file: what it does and what it needs of a target."""
    yield "| scenarios | what they do | a target needs |"
    yield "| --- | --- | --- |"
    for _, doc, of in plugins:
        what = " ".join([doc.strip().split("\n")[0], *(f"`{s.name}`: {s.about}" for s in of if s.about)])
        yield f"| {names(of)} | {what} | {needs(of)} |"
    yield ""


def needs_table() -> Iterator[str]:
    """Translate the words of `lacks` for the table."""
    yield from ("| `needs`, `lacks` | |", "| --- | --- |")
    yield from (f"| `{need}` | {what} |" for need, what in NEEDS.items())
    yield ""


def section(plugin: Plugin) -> str:
    """All that a file says of its scenarios, and what they take."""
    of = plugin.scenarios
    tags = ", ".join(f"`-t {tag}`" for tag in of[0].tags)
    facts = "; ".join([API_NAMES[of[0].api], tags, *([f"needs {needs(of)}"] if needs(of) else [])])
    head = f"## {names(of)}\n\n[`plugins/{plugin.file}`](../plugins/{plugin.file}); {facts}."
    return "\n".join([head, *blocks(plugin.doc), *params_table(of)])


def needs(of: tuple[Scenario, ...]) -> str:
    """Say what a target must have, and which scenarios need it if not all do."""
    whose = {need: tuple(s for s in of if need in s.needs) for scenario in of for need in scenario.needs}
    return ", ".join(f"`{need}`" + (f" ({names(by)})" if by != of else "") for need, by in whose.items())


def blocks(doc: str) -> Iterator[str]:
    """Turn a docstring into Markdown: paragraphs, and `Word: …` lines as items of a list."""
    in_list = False
    for block in BLOCK.split(doc.strip()):
        label = LABEL.match(block)
        if not (in_list and label):
            yield ""
        in_list = bool(label)
        yield f"- **{label[1]}:** {block[label.end() :]}".replace("\n", "\n  ") if label else block
    yield ""


def params_table(of: tuple[Scenario, ...]) -> Iterator[str]:
    """Write the table of what `-P` may set; all scenarios of a file share it."""
    params = of[0].params
    if params is None:
        return
    yield f"| {', '.join(f'`-P {scenario.name}.…`' for scenario in of)} | | default |"
    yield "| --- | --- | --- |"
    defaults = field_defaults(params)
    for name, field in params.model_fields.items():
        yield f"| `{name}` | {field.description} | {defaults[name]} |"
    yield ""


def names(of: tuple[Scenario, ...]) -> str:
    """Join the names of the scenarios of a file."""
    return ", ".join(f"`{scenario.name}`" for scenario in of)


def anchor(of: tuple[Scenario, ...]) -> str:
    """Spell the link to a section as GitHub does."""
    return re.sub(r"[^\w\- ]", "", names(of)).replace(" ", "-")
