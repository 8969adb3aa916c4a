"""The JUnit file: counts, any text, and a place that cannot be written."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from bench.core.errors import BenchError
from bench.core.results.summary import Summary
from bench.gate import junit
from bench.gate.condition import Decision
from tests.support.decisions import TEXTS, judged


def _parsed(file: bytes) -> ET.Element:
    return ET.fromstring(file)  # noqa: S314  (our own)


def test_junit(summary: Summary) -> None:
    """A suite for each scenario with the run's properties; the counts are those of its cases."""
    verdicts = [judged("PASS"), judged("FAIL", 1), judged("UNDECIDED", 2)]
    verdicts.append(Decision("ttft > 1s", "rag", "rag ttft p50 streamed", "PASS", "fine"))
    root = _parsed(junit.render(summary, verdicts, ["about nothing"]))
    assert [suite.get("name") for suite in root] == ["text", "rag", "gate"]
    for suite in root:
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        for count, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert suite.get(count) == str(len(list(suite.iter(tag))))
    assert root.attrib == {"name": "streambench", "tests": "5", "failures": "1", "errors": "1"}
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "why"
    properties = {one.get("name"): one.get("value") for one in root[0].iter("property")}
    assert properties == {"run": "run", "trust": "UNCHECKED", "host": "embedded simulator", "model": "sim-1"}
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)


@given(TEXTS, TEXTS)
def test_junit_of_any_text(summary: Summary, said: str, subject: str) -> None:
    """Whatever a server said, the file is XML; what XML cannot hold is a replacement character."""
    one = Decision("ttft > 1s", subject, subject, "FAIL", said)
    failure = _parsed(junit.render(summary, [one])).find(".//failure")
    assert failure is not None
    allowed = "".join(
        sign if sign in "\t\n\r" or " " <= sign <= "\ufffd" or sign > "\uffff" else "\ufffd" for sign in said
    )
    assert (failure.text or "") == allowed.replace("\r\n", "\n").replace("\r", "\n")


def test_junit_cannot_be_written(summary: Summary, tmp_path: Path) -> None:
    """A file that cannot be written is one line that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"--junit .*junit\.xml: cannot be written"):
        junit.write(tmp_path / "file" / "junit.xml", summary, [])
