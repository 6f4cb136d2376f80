"""Output for CI systems: JUnit XML, and workflow commands of GitHub Actions."""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from ledger.analysis.budget import Verdict, Verdicts
from ledger.analysis.budget.verdicts import SESSION, plain
from ledger.durations import NS_PER_S

_MESSAGE_ESCAPES: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY_ESCAPES: Final = {**_MESSAGE_ESCAPES, ":": "%3A", ",": "%2C"}


def junit(verdicts: Verdicts, budget: str) -> bytes:
    """Return verdicts as JUnit XML: one test case per limit, whose time is the measured one."""
    counts = {"tests": str(len(verdicts.rows)), "failures": str(len(verdicts.broken)), "errors": "0"}
    # By convention a suite's time is the sum over its cases; here that sum means nothing.
    time = _seconds(sum(map(_measured_ns, verdicts.rows)))
    suites = ElementTree.Element("testsuites", {"name": "compile-ledger", **counts, "time": time})
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": plain(budget), **counts, "skipped": "0", "time": time}
    )
    for number, row in enumerate(verdicts.rows, 1):
        # With the session's id in its name, it would be a different test case in each run.
        name = f"{SESSION} {number}" if row.kind == SESSION else row.name
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {
                "classname": f"budget.{row.kind}",
                "name": f"{name}: {row.bound}",
                "time": _seconds(_measured_ns(row)),
            },
        )
        if row.is_broken:
            failure = ElementTree.SubElement(case, "failure", {"message": row.sentence, "type": "budget"})
            failure.text = "\n".join((row.sentence, *row.details))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n"


def annotations(verdicts: Verdicts) -> Iterator[str]:
    """Yield a workflow command for each broken limit."""
    for row in verdicts.broken:
        message = "\n".join((row.sentence, *row.details))
        yield f"::error title={_escaped(row.name, _PROPERTY_ESCAPES)}::{_escaped(message, _MESSAGE_ESCAPES)}"


def _escaped(text: str, replacements: dict[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)


def _measured_ns(row: Verdict) -> int:
    return row.measured if row.unit == "ns" and row.measured is not None else 0


def _seconds(ns: int) -> str:
    return f"{ns / NS_PER_S:.6f}"
