"""The report as text: what is shown, in which order, and what never is."""

import io

from rich.console import Console

from ledger.durations import seconds, signed, three_places
from ledger.reports.from_ledger import read_report
from ledger.reports.terminal_table import table
from ledger.reports.text import print_report
from ledger.testing import MemoryLedger, SessionBuilder
from tests.reports.test_html import kept

SECOND = 1_000_000_000


def printed(builder: SessionBuilder, width: int = 200) -> str:
    text = io.StringIO()
    ledger = MemoryLedger(builder.events)
    print_report(read_report(ledger, ledger.session()), Console(file=text, width=width))
    return text.getvalue()


def test_nothing_is_less_than_nothing() -> None:
    assert [seconds(ns) for ns in (-1, -499_999, -500_001, 0)] == ["0.000", "0.000", "-0.001", "0.000"]
    assert [signed(ns) for ns in (-1, 0, -1_000_000)] == ["+0.000", "+0.000", "-0.001"]
    assert three_places(-0.0004) == "0.000"
    text = io.StringIO()
    Console(file=text, width=80).print(table(["number"], [[-0.0004], [-0.0], [-1.5]]))
    assert "-0.000" not in text.getvalue()
    assert "-1.500" in text.getvalue()


def test_a_cause_that_rounds_to_nothing_has_no_minus() -> None:
    ledger = kept("vllm")
    session = ledger.session("vllm warm")
    report = read_report(ledger, session)
    rounded = [cause.ns for row in report.claims.differing for cause in row.causes if -500_000 < cause.ns < 0]
    assert rounded, "the recording has such causes"
    text = io.StringIO()
    print_report(report, Console(file=text, width=200))
    assert "-0.000" not in text.getvalue()


def test_what_could_not_be_matched_is_counted_in_the_summary_and_not_listed() -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.claim(SECOND, SECOND, source="monitor", stage="weights_load")
    builder.end(2 * SECOND)
    text = printed(builder)
    assert "0 of 1 claims agree with the measurement; 1 could not be matched to an interval" in text
    assert "No interval was recorded." in text
    assert "Claims that disagree" not in text


def test_no_line_is_wider_than_the_terminal() -> None:
    builder = SessionBuilder()
    builder.begin()
    for number in range(3):
        stage = builder.start(number * SECOND, "backend_compile", component="block " * 20, role="r" * 60)
        builder.stop((number + 1) * SECOND - 1, stage, "failed", "E" * 90)
    builder.end(9 * SECOND)
    assert max(map(len, printed(builder, width=80).splitlines())) <= 80
