"""Text, JSON and the page of the kept sessions show the same numbers: those of the report."""

import io
import json
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from ledger import Ledger
from ledger.durations import seconds, signed
from ledger.reports.from_ledger import read_report
from ledger.reports.html import page, subject_of
from ledger.reports.html.linked_claims import is_torchs_sum
from ledger.reports.json_renderer import to_json
from ledger.reports.model import ROUNDING, Report
from ledger.reports.text import print_report
from tests.reports.test_html import SESSIONS, Read, kept

NUMBER = re.compile(r"(?<![\w.])[+-]?\d+\.\d{3}(?![\w.])")
"""Seconds, as every renderer writes them."""


@pytest.fixture(scope="module")
def ledgers() -> dict[str, Ledger]:
    return {name: kept(name) for name in ("demo", "vllm")}


def text_of(report: Report) -> str:
    text = io.StringIO()
    print_report(report, Console(file=text, width=1_000))
    return text.getvalue()


def numbers_in(text: str, title: str) -> list[list[str]]:
    """Return the seconds in each row of the table below a title; none where it is not there."""
    lines = text.splitlines()
    starts = [place for place, line in enumerate(lines) if line.startswith(title)]
    if not starts:
        return []
    rows: list[list[str]] = []
    for line in lines[starts[0] + 4 :]:
        if not line.strip():
            break
        rows.append(NUMBER.findall(line))
    return rows


def shown(*values: int | None) -> list[str]:
    """Return durations as a row of a table has them, with nothing for none."""
    return [seconds(ns) for ns in values if ns is not None]


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_every_number_in_the_text_is_the_reports(ledgers: dict[str, Ledger], name: str, session: str) -> None:
    report = read_report(ledgers[name], session)
    text = text_of(report)
    (window,) = report.startup.windows
    assert sum(row.duration_ns for row in report.startup.rows) == window.duration_ns
    in_table = numbers_in(text, report.startup.title)
    assert [numbers[0] for numbers in in_table[:10]] == [
        seconds(row.duration_ns) for row in report.startup.rows[:10]
    ]
    rest_ns = sum(row.duration_ns for row in report.startup.rows[10:])
    assert [numbers[-1] for numbers in in_table[10:]] == ([seconds(rest_ns)] if rest_ns else [])
    has_several = any(row.total.process_count > 1 for row in report.totals.rows)
    assert numbers_in(text, report.totals.title) == [
        shown(total.max_ns, *((total.union_ns, total.sum_ns) if has_several else ()))
        for total, _, _ in report.totals.rows
    ]
    claims = numbers_in(text, report.claims.title)
    assert len(claims) == min(len(report.claims.differing), 10)
    for numbers, row in zip(claims, report.claims.differing, strict=False):
        reconciliation = row.reconciliation
        shown_causes = [one for one in row.causes if one.cause != ROUNDING and abs(one.ns) >= 500_000]
        causes = shown_causes[:3]
        expected = shown(
            reconciliation.claimed_ns, reconciliation.measured_ns, reconciliation.difference_ns
        ) + [signed(cause.ns) for cause in causes]
        assert numbers[: len(expected)] == expected
    assert numbers_in(text, report.unattributed.title) == [
        shown(one.duration_ns, one.unattributed_ns) for _, one in report.unattributed.rows[:5]
    ]
    assert numbers_in(text, report.sources.title) == [
        shown(total.total_ns, total.naive_sum_ns, total.double_counted_ns) for _, total in report.sources.rows
    ]
    assert numbers_in(text, report.failed.title) == [
        shown(one.duration_ns) for _, one in report.failed.rows[:10]
    ]


def exact(rows: Sequence[tuple[int | None, ...]], table: str, read: Read, *columns: int) -> None:
    """Compare nanoseconds, and their seconds, with those in some columns of a page's table."""
    assert read.numbers(table, *columns) == list(rows)
    for numbers, texts in zip(rows, read.texts(table, *columns), strict=True):
        for ns, text in zip(numbers, texts, strict=True):
            assert float(text.split("±")[0] or "0") == float(seconds(ns) or "0")


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_every_number_in_the_tables_of_the_page_is_the_reports(
    ledgers: dict[str, Ledger], name: str, session: str
) -> None:
    subject = subject_of(ledgers[name], session)
    report, read = subject.report, Read(page([subject]))
    exact([(row.duration_ns,) for row in report.startup.rows], "startup", read, 3)
    exact([(row.total.max_ns,) for row in report.totals.rows], "totals", read, 2)
    exact(
        [(one.duration_ns, one.unattributed_ns) for _, one in report.unattributed.rows[:300]],
        "unattributed", read, 5, 6,
    )  # fmt: skip
    exact(
        [(one.total_ns, one.naive_sum_ns, one.double_counted_ns) for _, one in report.sources.rows],
        "sources", read, 4, 5, 6,
    )  # fmt: skip
    exact([(one.duration_ns,) for _, one in report.failed.rows], "failed", read, 5)
    exact([(row.at_least_ns,) for row in report.unended.rows], "unended", read, 5)
    # Sums of torch's own are a table of their own, after all others.
    rows = sorted(report.claims.rows, key=lambda row: is_torchs_sum(row.claim))
    reconciliations = [row.reconciliation for row in rows]
    exact(
        [(one.claimed_ns, one.measured_ns, one.difference_ns) for one in reconciliations],
        "differences", read, 3, 4, 5,
    )  # fmt: skip


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_text_page_and_json_are_of_one_report(ledgers: dict[str, Ledger], name: str, session: str) -> None:
    """What the terminal reads, with a few of the intervals, gives what all of them give."""
    of_terminal = read_report(ledgers[name], session)
    of_page = subject_of(ledgers[name], session).report
    assert text_of(of_terminal) == text_of(of_page)
    assert to_json(of_terminal) == to_json(of_page)
    assert json.loads(to_json(of_page))["session"]["session"] == of_page.heading.session
    for sentence in (of_page.claims.summary, *of_page.missing_hooks):
        assert sentence in text_of(of_terminal)
        assert sentence in " ".join(Read(page([subject_of(ledgers[name], session)])).text)
