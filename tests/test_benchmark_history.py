"""What `make bench` prints is what it keeps, and each entry of the history has the documented form."""

import json
from datetime import datetime

import pytest

from tests.benchmarks.measuring import Figure, Goal, read_back
from tests.support.paths import ROOT

HISTORY = ROOT / "tests" / "benchmarks" / "history.jsonl"


@pytest.mark.parametrize(
    "result",
    [
        Figure("two bare os.write", 4.25, "µs"),
        Figure("events a second", 151000.0, "1/s"),
        Goal("of two bare writes", 2.5, 3.0, "times"),
        Goal("why: the causes (1,024 rows)", 1.5, 1.0, "s"),
    ],
)
def test_what_is_printed_is_read_back(result: Figure | Goal) -> None:
    assert read_back(f"{result}\n") == result


def test_a_heading_is_no_result() -> None:
    for line in ("Collecting 200,000 events", "  pairs without and with, s: 1.2 1.3, 1.2 1.4", ""):
        assert read_back(line) is None


def test_each_entry_has_the_documented_form() -> None:
    entries = [json.loads(line) for line in HISTORY.read_text(encoding="utf-8").splitlines()]
    assert entries
    for entry in entries:
        assert entry.keys() == {"commit", "date", "machine", "rounds", "note", "results"}
        assert entry["machine"].keys() == {"cores", "cpu", "load", "python", "torch"}
        assert datetime.fromisoformat(entry["date"]).tzinfo is not None
        for results in entry["results"].values():
            assert results
            for result in results:
                assert {"name", "measured", "unit"} <= result.keys() <= {"name", "measured", "unit", "limit"}
