"""What a timeline shows in a notebook adds up, and names what its records name."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from ledger import Event, Ledger, Timeline, reduce
from ledger.events.models import MilestoneReached, StageStopped
from ledger.formatting import NO_STAGE
from ledger.testing import SessionBuilder
from ledger.timeline.notebook_view import window_sentence
from tests.support.recordings import RECORDINGS, recorded

S = 1_000_000_000


class Shown(HTMLParser):
    """The lines and tables of a view: tables as rows of texts, by their captions, in order."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []
        self._in = ""
        self.feed(timeline._repr_html_())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "div":
            self.lines.append("")
        elif tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
        self._in = self._in if tag == "strong" else tag

    def handle_data(self, data: str) -> None:
        if self._in == "div":
            self.lines[-1] += data
        elif self._in == "caption":
            caption, rows = self.tables[-1]
            self.tables[-1] = (caption + data, rows)
        else:
            self.tables[-1][1][-1][-1] += data


def milestone(name: str, at_ns: int, seq: int) -> MilestoneReached:
    return MilestoneReached(session="session", process="process", seq=seq, at_ns=at_ns, name=name)


def ready_session(*ready_ns: int) -> list[Event]:
    builder = SessionBuilder()
    builder.begin()
    for at_ns in ready_ns:
        builder.events.append(milestone("server_ready", at_ns, len(builder.events)))
    return builder.events


def compiled(builder: SessionBuilder, component: str) -> None:
    """Add a second in which a part is compiled, since the cache has nothing for it."""
    at_ns = builder.events[-1].at_ns
    interval = builder.start(at_ns, "torch_compile", component=component, source="monitor")
    builder.events.append(
        StageStopped(
            session="session", process=builder.process, seq=len(builder.events), at_ns=at_ns + S,
            interval=interval, outcome="completed", data={"cache": "compiled"},
        )
    )  # fmt: skip


def sessions() -> Iterator[tuple[Ledger, str]]:
    for name in RECORDINGS:
        ledger = recorded(name)
        for session in ledger.sessions()[:3]:
            yield ledger, session


def test_the_breakdown_adds_up_to_the_time_until_ready() -> None:
    for ledger, session in sessions():
        timeline = ledger.timeline(session)
        (window,) = timeline.startup_windows
        shown = Shown(timeline)
        assert shown.lines[1] == window_sentence(window)
        caption, [header, *rows] = shown.tables[0]
        assert (caption, header) == ("Where that went", ["stage", "seconds", "share", "", "processes"])
        # Each is rounded to a millisecond.
        total = sum(float(row[1].replace(",", "")) for row in rows)
        assert total == pytest.approx(window.duration_ns / S, abs=0.0006 * len(rows))
        assert len(rows) <= 14
        assert len({row[0] for row in rows}) == len(rows)
        in_no_stage = [float(row[1]) for row in rows if row[0] == NO_STAGE]
        assert in_no_stage == ([round(window.unattributed_ns / S, 3)] if window.unattributed_ns else [])


def test_the_longest_stages_come_first_and_the_rest_is_one_row() -> None:
    shown = Shown(recorded("vllm").timeline("vllm cold"))
    _, [_, *rows] = shown.tables[0]
    seconds = [float(row[1]) for row in rows[:12]]
    assert seconds == sorted(seconds, reverse=True)
    assert rows[0][3] == "█" * 20
    assert re.fullmatch(r"\d+ more stages", rows[12][0])
    assert [row[4] for row in rows if row[0] == "import torch"] == ["Worker rank 0, EngineCore, 2 more"]


def test_the_findings_follow_the_breakdown_what_is_worth_most_first() -> None:
    timeline = recorded("vllm").timeline("vllm cold")
    shown = Shown(timeline)
    assert [caption for caption, _ in shown.tables] == [
        "Where that went", "Findings", "Time by role, in its slowest process",
    ]  # fmt: skip
    _, [header, *rows] = shown.tables[1]
    assert header == ["seconds", "finding", "what to do"]
    assert len(rows) == len(timeline.findings[:5]) == 5
    assert rows[0] == [
        "10.693",
        "Qwen2_5_VisionPatchEmbed compiled: the cache had nothing for it",
        "Keep the compile cache's folder from start to start",
    ]
    assert [row[1:] for row in rows] == [[one.summary, one.advice] for one in timeline.findings[:5]]


def test_of_many_findings_the_first_five_are_shown() -> None:
    builder = SessionBuilder()
    builder.begin()
    for number in range(7):
        compiled(builder, f"part {number}")
    builder.end(8 * S)
    timeline = reduce(builder.events)
    shown = Shown(timeline)
    assert len(shown.tables[1][1]) == 1 + 5
    assert f"and {len(timeline.findings) - 5} more findings" in shown.lines


def test_without_findings_there_is_no_table_of_them() -> None:
    timeline = reduce(ready_session(0))
    assert timeline.findings == ()
    assert len(Shown(timeline).tables) == 2


def test_role_totals_are_those_of_the_slowest_process() -> None:
    timeline = recorded("vllm").timeline("vllm cold")
    caption, [_, *rows] = Shown(timeline).tables[2]
    assert caption == "Time by role, in its slowest process"
    assert ["encoder", "compile", "21.717", "Worker rank 0", "1"] in rows
    assert len(rows) == len(timeline.session_totals)


def test_a_session_that_became_ready_says_so_and_another_says_how_long_it_is() -> None:
    assert Shown(reduce(ready_session(3 * S))).lines[1] == (
        "Ready after 3.000 s, from the first event to server_ready"
    )
    builder = SessionBuilder()
    builder.begin()
    builder.end(2 * S)
    assert Shown(reduce(builder.events)).lines[1] == "2.000 s from the first event to the session's end"


def test_of_many_restarts_the_last_are_shown() -> None:
    shown = Shown(reduce(ready_session(*(n * n * S for n in range(1, 7)))))
    assert [line.partition(",")[0] for line in shown.lines[1:]] == [
        "Ready after 7.000 s", "Ready after 9.000 s", "Ready after 11.000 s", "and 3 earlier starts",
    ]  # fmt: skip
    assert [caption for caption, _ in shown.tables].count("Where that went") == 3


def test_a_session_without_events_shows_itself() -> None:
    shown = Shown(reduce([]))
    assert shown.lines == ["no session"]
    assert [len(rows) for _, rows in shown.tables] == [1]


def test_a_window_without_length_divides_by_nothing() -> None:
    assert Shown(reduce(ready_session(0))).lines[1].startswith("Ready after 0.000 s")


def test_hostile_names_stay_text() -> None:
    name = "</td><script>alert(1)</script>&amp;"
    builder = SessionBuilder("session", name)
    builder.begin(label=name)
    builder.stop(3 * S, builder.start(S, name, role=name))
    builder.end(4 * S)
    html = reduce(builder.events)._repr_html_()
    assert "<script" not in html
    shown = Shown(reduce(builder.events))
    assert [name, "2.000", "50.0%", "█" * 20, "</td><script>alert(1)</script>&amp;"] in shown.tables[0][1]
    assert f"({name})" in shown.lines[0]


def test_hostile_names_in_findings_stay_text() -> None:
    name = "</td><script>x</script>&amp;"
    builder = SessionBuilder()
    builder.begin()
    compiled(builder, name)
    builder.end(S)
    timeline = reduce(builder.events)
    assert "<script" not in timeline._repr_html_()
    assert f"{name} compiled: the cache had nothing for it" in [
        row[1] for row in Shown(timeline).tables[1][1]
    ]
