"""`--anonymize`: no name of a host in anything that is written."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.build import build
from bench.core.results.summary import Summary
from bench.reports.anonymize import NOTE, Aliases
from bench.reports.charts.built_in import chart_data
from bench.reports.data_files import render_csv, render_json
from bench.reports.html import render_html
from bench.reports.markdown import render_markdown
from bench.reports.terminal.report import render_terminal
from tests.support.synthetic import Truth, make_run

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
HOST = st.one_of(
    st.builds(lambda *labels: "planted" + ".".join(labels), LABEL, LABEL, LABEL),
    st.builds("planted-{}".format, LABEL),
    st.builds(lambda *parts: "203." + ".".join(map(str, parts)), *[st.integers(10, 255)] * 3),
    st.builds(lambda part: f"[2001:db8::{part:x}]", st.integers(16, 65535)),
)
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "port": "{}:8443".format,
    "url": "https://{}/v1/responses".format,
    "encoded": lambda host: f"https%3A%2F%2F{host.replace(':', '%3A')}%2Fv1",
    "capitals": str.upper,
    "quoted": 'could not reach "{}", gave up'.format,
}


@cache
def real() -> Summary:
    """A run of a real endpoint, with a failure."""
    truth = Truth(host="HOST", target="HOST", simulated=False, fail={("streamed", 1): "connect"}, error="ERROR")
    with TemporaryDirectory() as folder:
        return build(make_run(Path(folder) / "r", [truth], pairs=3, memory=False), chart_data=chart_data)


def planted(summary: Summary, host: str, said: str) -> Summary:
    """The summary of a run of this host, which is in every kind of text that may have it."""
    command = ["bench", "run", "--base-url", f"http://{host}:8000/teams/blue/v1", f"--prompts=/srv/{host}/asks.jsonl"]
    seen = {f"{host}:8000": {"header via": f"1.1 proxy.{host}", "http": "HTTP/1.1"}}
    place = f"{host}:8000"
    cells = tuple(
        replace(cell, host=place, label=f"text {place}", key=cell.key._replace(target=place)) for cell in summary.cells
    )
    return replace(
        summary,
        manifest={**summary.manifest, "command": command, "targets": seen},
        headline=f"real endpoint {place}, model m",
        cells=cells,
        rows=tuple(replace(row, target=place) for row in summary.rows),
        failures=tuple(replace(one, error=said) for one in summary.failures),
        notes=(f"requests go to {said}",),
        environment={**summary.environment, f"target {place}: header via": f"1.1 proxy.{host}"},
    )


@settings(max_examples=40, deadline=None)
@given(host=HOST, form=st.sampled_from(sorted(FORMS)))
def test_a_planted_host_is_in_no_output(host: str, form: str) -> None:
    """Whatever it is called and however it is written; the numbers stay, and each report says what was done."""
    summary = planted(real(), host, FORMS[form](host))
    hidden = Aliases.from_summary(summary).in_summary(summary)
    for render in (render_terminal, render_markdown, render_csv, lambda s: render_json(s).decode()):
        text = render(hidden)
        assert host.strip("[]").casefold() not in text.casefold()
        assert "host-1:8000" in text
    assert [row.estimate for row in hidden.rows] == [row.estimate for row in real().rows]
    assert hidden.row(hidden.cells[0], "streamed", "ttfu", "p50") is not None, "numbers are still found by their cell"
    assert hidden.notes[0] == NOTE


def test_the_page_has_no_host_either() -> None:
    """HTML says what was done, and has neither host, nor the path of the URL, nor a folder, nor a proxy."""
    summary = planted(real(), "planted.host.example", "planted.host.example:9 refused")
    page = render_html(Aliases.from_summary(summary).in_summary(summary))
    assert "anonymized: " in page
    for secret in ("planted", "host.example", "teams/blue", "/srv/", "1.1 proxy"):
        assert secret not in page
    assert "asks.jsonl" in page


def test_hosts_are_told_apart_and_domains_hidden() -> None:
    """Two hosts are two names; a host of the same domain that is named elsewhere does not give it away."""
    aliases = Aliases(["api.one.example", "two.example:81", "10.0.0.1", "10.0.0.12"])
    said = aliases.text("api.one.example two.example:81 10.0.0.12 10.0.0.1 mail.one.example")
    assert said == "host-1 host-2:81 host-4 host-3 mail.host-1"


def test_this_machine_and_its_user_are_hidden() -> None:
    """The name of the machine, and the home folder in whatever an error says."""
    said = f"File /home/ada/work/rag.py on {platform.node()}"
    summary = planted(real(), "planted.example", said)
    (failure, *_) = Aliases.from_summary(summary).in_summary(summary).failures
    assert failure.error.startswith("File ~/work/rag.py on host-")


def test_words_of_ours_stay() -> None:
    """A host that is called like a metric leaves the metrics alone; a word within another is no host."""
    summary = planted(real(), "total", "total")
    hidden = Aliases.from_summary(summary).in_summary(summary)
    assert {row.metric for row in hidden.rows} == {row.metric for row in real().rows}
    assert Aliases(["gpu"]).text("gpu gpus") == "host-1 gpus"


def test_hosts_that_stand_in_no_address_are_hidden() -> None:
    """Of errors: an IPv6 address, a name with its port, a name of a private network; a line of a file stays."""
    said = "fe80::1%eth0, 2001:db8::99: via px.corp.example:31; no db.internal; rag.py:12 at 12:34:56, std::x, 5.0.1"
    summary = planted(real(), "planted.example", said)
    (failure, *_) = Aliases.from_summary(summary).in_summary(summary).failures
    assert re.sub("host-[0-9]+", "H", failure.error) == "H, H: via H:31; no H; rag.py:12 at 12:34:56, std::x, 5.0.1"


def test_no_folder_of_the_command_line_is_left() -> None:
    """Neither relative ones, nor another user's, nor those of Windows; a plain path of the project loses its folder."""
    summary = planted(real(), "planted.example", "")
    command = ["../../ada/x.py", "~ada/y.py", "C:\\work\\ada\\z.py", "--out=/srv/ada/reports", "./rag.py", "a/b"]
    hidden = Aliases.from_summary(summary).in_summary(
        replace(summary, manifest={**summary.manifest, "command": command})
    )
    assert hidden.manifest["command"] == ["…/x.py", "…/y.py", "…/z.py", "--out=…/reports", "…/rag.py", "a/b"]
