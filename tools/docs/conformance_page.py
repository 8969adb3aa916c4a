"""The tables of docs/conformance.md, written from the streams' files."""

from collections.abc import Iterator

from bench.core.scenario import API_NAMES
from bench.simulator.conformance_set import ConformanceStream, Truth, load

HEAD = "| model | what is sent | scenario | status | TTFT | visible | TTFU | tokens, events |"


def streams_markdown() -> str:
    """Write the section: what a file says, and every stream of each API."""
    return "\n".join([*truth_table(), *(text for api in API_NAMES for text in stream_table(api))]) + "\n"


def truth_table() -> Iterator[str]:
    """Yield the keys of a stream file, each with its meaning."""
    yield from ("| key of `truth` | |", "| --- | --- |")
    for name, field in Truth.model_fields.items():
        yield f"| `{name}` | {field.description} |"
    yield ""


def stream_table(api: str) -> Iterator[str]:
    """Yield a row for each stream of an API."""
    streams = [stream for stream in load().values() if stream.api == api]
    yield from (f"### {API_NAMES[streams[0].api]}: {len(streams)} streams\n", HEAD, "| --- " * HEAD.count(" |") + "|")
    yield from map(line, streams)
    yield ""


def line(stream: ConformanceStream) -> str:
    """One stream and its truth; times in ms."""
    truth = stream.truth
    times = " | ".join(map(time, (truth.first_at, truth.visible_at, truth.useful_at)))
    status = f"`{truth.status}`{', truncated' if truth.truncated else ''}"
    counts = f"{len(truth.tokens_at)}, {truth.events}"
    return f"| `{stream.model}` | {stream.doc} | `{stream.scenario}` | {status} | {times} | {counts} |"


def time(value: float | None) -> str:
    """Format a time in ms; None becomes a dash."""
    return "–" if value is None else f"{value:g}"
