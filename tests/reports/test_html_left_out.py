"""A page of very many intervals has the longest, and those that it speaks of; all others are counted."""

import re
from itertools import pairwise

import pytest
from pydantic import JsonValue

from ledger import Event, Interval
from ledger.events.models import MilestoneReached, StageStarted
from ledger.reports.html import Subject, page, subject_of
from ledger.reports.html.breakdown import breakdown_bars
from ledger.reports.html.left_out import LeftOut
from ledger.reports.html.waterfall import waterfall
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.claim_data import claim_data, names_of
from tests.reports.test_html import Read, deep_session
from tests.support.growth import assert_linear
from tests.support.many_processes import side_by_side

MOST = 200
SPOKEN_OF = (17, 400, 900)
"""Places of intervals that a claim is about."""


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    """A session of 1,500 intervals like torch's, with claims about short ones, failures, and some open."""
    builder = deep_session(1_500)
    at_ns = max(event.at_ns for event in builder.events)
    events = [event for event in builder.events if event.kind not in ("process_left", "session_ended")]
    builder.events[:] = events
    for _ in range(5):
        builder.stop(at_ns + 20, builder.start(at_ns + 10, "inductor", source="torch"), "failed", "Error")
        at_ns += 30
    builder.start(at_ns, "dynamo", source="torch")
    started = [event.interval for event in builder.events if isinstance(event, StageStarted)]
    named: list[JsonValue] = [started[place] for place in SPOKEN_OF]
    builder.claim(at_ns + 1, 5, source="torch", counts="addition", data={"intervals": named})
    builder.events.append(
        MilestoneReached(
            session="session",
            process="process",
            seq=len(builder.events),
            at_ns=at_ns + 2,
            name="engine_ready",
        )
    )
    renumbered: list[Event] = [
        event.model_copy(update={"seq": seq}) for seq, event in enumerate(builder.events)
    ]
    return MemoryLedger(renumbered)


@pytest.fixture(scope="module")
def whole(ledger: MemoryLedger) -> Subject:
    return subject_of(ledger, "session")


@pytest.fixture(scope="module")
def excerpt(ledger: MemoryLedger) -> Subject:
    return subject_of(ledger, "session", MOST)


def left_out_of(subject: Subject) -> LeftOut:
    assert subject.left_out is not None
    return subject.left_out


def length_ns(interval: Interval) -> int:
    return (interval.open_ns or 0) if interval.duration_ns is None else interval.duration_ns


def test_a_session_that_fits_is_there_as_a_whole(ledger: MemoryLedger, whole: Subject) -> None:
    assert whole.left_out is None
    assert whole.timeline == ledger.timeline("session")
    assert "are on this page one by one" not in page([whole])


def test_the_longest_are_there_with_all_that_encloses_them(whole: Subject, excerpt: Subject) -> None:
    kept = set(excerpt.timeline.intervals)
    assert MOST <= len(kept) < 1_200
    assert kept < set(whole.timeline.intervals)
    assert [one for one in whole.timeline.intervals if one in kept] == list(excerpt.timeline.intervals)
    longest = sorted(whole.timeline.intervals, key=length_ns, reverse=True)
    assert set(longest[:MOST]) <= kept
    by_id = {one.interval: one for one in kept}
    assert all(one.enclosing in by_id for one in kept if one.enclosing is not None)


def test_what_a_page_speaks_of_is_there_however_short(whole: Subject, excerpt: Subject) -> None:
    kept = {one.interval for one in excerpt.timeline.intervals}
    [claim] = whole.timeline.claims
    named = set(names_of(claim, claim_data(claim)))
    assert len(named) == len(SPOKEN_OF)
    assert named <= kept
    odd = {one.interval for one in whole.timeline.intervals if one.outcome != "completed"}
    assert len(odd) > 5
    assert odd <= kept
    by_unattributed = sorted(whole.timeline.intervals, key=lambda one: -(one.unattributed_ns or 0))
    assert {one.interval for one in by_unattributed[:300] if one.unattributed_ns} <= kept


def test_each_other_is_counted_in_one_block(whole: Subject, excerpt: Subject) -> None:
    left_out = left_out_of(excerpt)
    kept = set(excerpt.timeline.intervals)
    others = [one for one in whole.timeline.intervals if one not in kept]
    assert left_out.number == len(others) == excerpt.interval_count - len(kept)
    assert left_out.longest_ns == max(map(length_ns, others))
    blocks = left_out.processes["process"].blocks
    assert sum(block.number for block in blocks) == len(others)
    for one in others:
        around = [
            block
            for block in blocks
            if block.start_ns <= one.start_ns and one.start_ns + length_ns(one) <= block.stop_ns
        ]
        assert len(around) == 1
        assert length_ns(one) <= around[0].longest_ns
    assert all(before.stop_ns < after.start_ns for before, after in pairwise(blocks))


def test_what_is_added_up_is_the_same(whole: Subject, excerpt: Subject) -> None:
    assert excerpt.length_ns == whole.length_ns
    assert excerpt.report.startup.rows == whole.report.startup.rows
    assert excerpt.report.totals == whole.report.totals
    assert excerpt.report.sources == whole.report.sources
    assert excerpt.report.failed == whole.report.failed
    assert excerpt.report.unended == whole.report.unended
    [of_whole], [of_excerpt] = breakdown_bars(whole), breakdown_bars(excerpt)
    assert sum(piece.ns for piece in of_excerpt.pieces) == sum(piece.ns for piece in of_whole.pieces)
    lanes = [waterfall(subject).lanes["processes"][0] for subject in (whole, excerpt)]
    assert lanes[0]["holes"] == lanes[1]["holes"]


def test_the_page_says_what_it_left_out_and_links_to_nothing_that_is_not_there(excerpt: Subject) -> None:
    read = Read(page([excerpt]))
    text = " ".join(read.text)
    kept, others = len(excerpt.timeline.intervals), left_out_of(excerpt).number
    found = re.search(
        r"Of ([\d,]+) intervals, ([\d,]+) are on this page one by one. The other ([\d,]+),", text
    )
    assert found is not None
    numbers = [int(number.replace(",", "")) for number in found.groups()]
    assert numbers == [kept + others, kept, others]
    assert f"Not in here are {others:,} intervals" in text


def test_intervals_of_one_length_fill_the_page_as_well() -> None:
    builder = SessionBuilder()
    builder.begin()
    for number in range(1_000):
        builder.stop(20 * number + 10, builder.start(20 * number, "dynamo", source="torch"))
    subject = subject_of(MemoryLedger(builder.events), "session", MOST)
    assert len(subject.timeline.intervals) >= MOST
    assert subject.interval_count == 1_000


def test_a_page_of_many_processes_is_linear_work() -> None:
    def pages(number: int) -> object:
        subject = subject_of(MemoryLedger(side_by_side(number)), "session")
        return lambda: page([subject])

    page([subject_of(MemoryLedger(side_by_side(2)), "session")])
    assert_linear(pages, 1_600)
