"""What CI systems read of a check: JUnit's XML, and the workflow commands of GitHub Actions."""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from ledger.analysis.budget import Verdict, Verdicts
from ledger.analysis.budget.verdicts import SESSION, plain
from ledger.formatting import NS_PER_S

_OF_MESSAGES: Final = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_OF_PROPERTIES: Final = {**_OF_MESSAGES, ":": "%3A", ",": "%2C"}


def junit(verdicts: Verdicts, budget: str) -> bytes:
    """Return a check as JUnit's XML: a test case a limit, whose time is what was measured."""
    counts = {"tests": str(len(verdicts.rows)), "failures": str(len(verdicts.broken)), "errors": "0"}
    # By convention a suite's time is that of its cases; it is no total of anything.
    time = _seconds(sum(map(_measured_ns, verdicts.rows)))
    suites = ElementTree.Element("testsuites", {"name": "compile-ledger", **counts, "time": time})
    suite = ElementTree.SubElement(
        suites, "testsuite", {"name": plain(budget), **counts, "skipped": "0", "time": time}
    )
    for number, row in enumerate(verdicts.rows, 1):
        # A session's id would make another test case of it in each run.
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
        yield f"::error title={_escaped(row.name, _OF_PROPERTIES)}::{_escaped(message, _OF_MESSAGES)}"


def _escaped(text: str, replacements: dict[str, str]) -> str:
    return "".join(replacements.get(character, character) for character in text)


def _measured_ns(row: Verdict) -> int:
    return row.measured if row.unit == "ns" and row.measured is not None else 0


def _seconds(ns: int) -> str:
    return f"{ns / NS_PER_S:.6f}"
