"""The verdicts as JUnit XML, as Jenkins, GitLab and GitHub read it: a suite for each scenario."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from bench.core.errors import BenchError
from bench.core.results.summary import Summary
from bench.gate.condition import Decision

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NO_SCENARIO = "gate"
"""The suite of conditions about nothing that was measured."""


def write(file: Path, summary: Summary, judged: Sequence[Decision], errors: Sequence[str] = ()) -> None:
    """Write the file, and its folder where that is missing. Raises `BenchError` where it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(render(summary, judged, errors))
    except OSError as error:
        raise BenchError(f"--junit {file}: cannot be written ({error.strerror}); name another file") from error


def render(summary: Summary, judged: Sequence[Decision], errors: Sequence[str] = ()) -> bytes:
    """Render the XML: FAIL is a failure, UNDECIDED is skipped, a condition about nothing is an error."""
    root = ET.Element("testsuites", name="streambench")
    for scenario in dict.fromkeys(one.scenario for one in judged):
        _suite(root, summary, scenario, (_case(one) for one in judged if one.scenario == scenario))
    if errors:
        cases = [ET.Element("testcase", classname=f"bench.{NO_SCENARIO}", name=_clean(one), time="0") for one in errors]
        for case in cases:
            ET.SubElement(case, "error", message=case.attrib["name"], type="NOTHING").text = case.attrib["name"]
        _suite(root, summary, NO_SCENARIO, cases)
    _count(root)
    del root.attrib["skipped"]  # of a suite alone, by the schema that Jenkins has
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: ET.Element, summary: Summary, scenario: str, cases: Iterable[ET.Element]) -> None:
    suite = ET.SubElement(root, "testsuite", name=_clean(scenario), time="0")
    if created := str(summary.manifest.get("created") or ""):
        suite.set("timestamp", _clean(created.removesuffix("Z")))
    properties = ET.SubElement(suite, "properties")
    for name, value in {
        "run": str(summary.manifest.get("run_id") or ""),
        "trust": summary.trust.verdict,
        "host": ", ".join(dict.fromkeys(cell.host for cell in summary.cells)),
        "model": ", ".join(dict.fromkeys(cell.key.model for cell in summary.cells)),
    }.items():
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    suite.extend(cases)
    _count(suite)


def _case(one: Decision) -> ET.Element:
    name = _clean(f"{one.condition}: {one.subject}")
    case = ET.Element("testcase", classname=_clean(f"bench.{one.scenario}"), name=name, time="0")
    if one.verdict == "FAIL":
        ET.SubElement(case, "failure", message=_clean(one.sentence), type="FAIL").text = _clean(one.sentence)
    elif one.verdict == "UNDECIDED":
        ET.SubElement(case, "skipped", message=_clean(one.sentence))
    else:
        ET.SubElement(case, "system-out").text = _clean(one.sentence)
    return case


def _count(parent: ET.Element) -> None:
    cases = list(parent.iter("testcase"))
    parent.set("tests", str(len(cases)))
    for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        parent.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _clean(text: str) -> str:
    """Replace what no XML document may hold: control characters and halves of pairs."""
    return _NOT_XML.sub("\ufffd", text)
