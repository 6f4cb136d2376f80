"""The page of a session says what the ledger says, keeps every text a text, and draws no more than it can."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ledger import Ledger, parse_event
from ledger.cli import app
from ledger.durations import seconds
from ledger.events.models import Event
from ledger.events.rows import to_row
from ledger.reports.html import page, subject_of
from ledger.reports.html.lanes import picture
from ledger.reports.html.linked_claims import linked_claims
from ledger.reports.html.nesting import DEEPEST, Span, nested
from ledger.reports.html.thinning import Thinned, is_looked_for, thinned
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.records import Interval
from ledger.timeline.replay import clock_alignment
from tests.support.paths import DATA

SESSIONS = [
    ("demo", "demo cold"), ("demo", "demo warm"), ("demo", "killed"), ("vllm", "vllm cold"),
    ("vllm", "vllm warm"),
]  # fmt: skip
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "'\"`&amp;<!--\n\u2028{{ 7 * 7 }}]]>"
)
LONG = "x" * 10_000
SECOND = 1_000_000_000


def kept(name: str) -> Ledger:
    return MemoryLedger(parse_event(line) for line in (DATA / f"{name}.jsonl").read_bytes().splitlines())


@pytest.fixture(scope="module")
def ledgers() -> dict[str, Ledger]:
    return {name: kept(name) for name in ("demo", "vllm")}


class Read(HTMLParser):
    """What a page has: its tables with the exact numbers in them, its scripts, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str, int | None]]]] = {}
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._inside: list[str] = []
        self._table = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += values.items()
        if tag not in ("meta", "br", "input", "rect", "circle"):
            self._inside.append(tag)
        if tag == "table":
            self._table = values["data-table"]
            self.tables.setdefault(self._table, [])
        elif tag == "tr" and "thead" not in self._inside:
            self.tables[self._table].append([])
        elif tag == "td":
            self.tables[self._table][-1].append(("", None))
        elif tag == "data" and "td" in self._inside:
            row = self.tables[self._table][-1]
            if row[-1][1] is None:  # of several numbers in a cell, the first
                row[-1] = (row[-1][0], int(values["value"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["script"]:
            self.scripts.append(data)
        elif "style" not in self._inside:
            self.text.append(data)
            if "td" in self._inside:
                row = self.tables[self._table][-1]
                row[-1] = (row[-1][0] + data, row[-1][1])

    @property
    def own_scripts(self) -> list[str]:
        """What is run; the others are data."""
        return self.scripts[-2:]

    @property
    def data(self) -> dict[str, object]:
        """What the charts show."""
        return json.loads(self.scripts[-3])

    @property
    def waterfalls(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The lanes of the waterfall of each session, and all their intervals."""
        return json.loads(self.scripts[0]), json.loads(self.scripts[1])

    def numbers(self, table: str, *columns: int) -> list[tuple[int | None, ...]]:
        return [tuple(row[column][1] for column in columns) for row in self.tables.get(table, [])]

    def texts(self, table: str, *columns: int) -> list[tuple[str, ...]]:
        return [tuple(row[column][0] for column in columns) for row in self.tables.get(table, [])]


def rows_of(data: object, chart: str, table: str) -> list[dict[str, object]]:
    """Return the rows that a chart draws."""
    assert isinstance(data, dict)
    (found,) = [one for one in data["charts"][chart]["data"] if one["name"] == table]
    return found["values"]


def values(ledger: Ledger, session: str, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in ledger.sql(query, {"session": ledger.session(session)})]


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_every_number_on_the_page_is_the_ledgers(ledgers: dict[str, Ledger], name: str, session: str) -> None:
    ledger = ledgers[name]
    read = Read(page([subject_of(ledger, session)]))

    totals = values(
        ledger, session, "SELECT max_ns, role FROM session_totals WHERE session = :session ORDER BY 1 DESC, 2"
    )
    assert read.numbers("totals", 2) == [(ns,) for ns, _ in totals]
    assert [ns for (ns,) in read.texts("totals", 2)] == [seconds(ns) for ns, _ in totals]
    differences = values(
        ledger, session,
        "SELECT claimed_ns, measured_ns, difference_ns FROM reconciliation WHERE session = :session",
    )  # fmt: skip
    assert sorted(map(str, read.numbers("differences", 3, 4, 5))) == sorted(map(str, differences))
    unattributed = values(
        ledger, session,
        "SELECT duration_ns, unattributed_ns FROM intervals "
        "WHERE session = :session AND unattributed_ns > 0 ORDER BY 2 DESC LIMIT 300",
    )  # fmt: skip
    assert read.numbers("unattributed", 5, 6) == unattributed
    sources = values(
        ledger, session,
        "SELECT total_ns, naive_sum_ns, double_counted_ns FROM source_totals WHERE session = :session",
    )  # fmt: skip
    assert sorted(read.numbers("sources", 4, 5, 6)) == sorted(sources)
    failed = values(
        ledger, session,
        "SELECT error, duration_ns FROM intervals WHERE session = :session AND outcome = 'failed' "
        "ORDER BY stop_ns, depth DESC",
    )  # fmt: skip
    rows = [(row[4][0], row[5][1]) for row in read.tables.get("failed", [])]
    # What a process was in that was lost is among what failed.
    assert [row for row in rows if row[0] != "lost"] == failed
    processes = values(ledger, session, "SELECT count(*) FROM processes WHERE session = :session")
    assert [(len(read.tables["processes"]),)] == processes
    anomalies = values(ledger, session, "SELECT count(*) FROM anomalies WHERE session = :session")
    assert [(len(read.tables.get("anomalies", [])),)] == anomalies


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_every_interval_is_drawn_where_and_as_long_as_it_was(
    ledgers: dict[str, Ledger], name: str, session: str
) -> None:
    ledger = ledgers[name]
    subject = subject_of(ledger, session)
    drawn = rows_of(Read(page([subject])).data, "a-timeline", "intervals")
    intervals = subject.timeline.intervals
    assert len(drawn) == len(intervals)
    length_of = {f"{one.process}/{one.interval}": subject.stop_ns(one) - one.start_ns for one in intervals}
    lengths = sorted(round(length_ns / 1e9, 6) for length_ns in length_of.values())
    drawn_lengths = sorted(round(float(str(one["stop"])) - float(str(one["start"])), 6) for one in drawn)
    assert drawn_lengths == pytest.approx(lengths, abs=2e-6)
    assert sum(bool(one["is_top"]) for one in drawn) == sum(one.is_top_level for one in intervals)


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_times_are_a_replays(ledgers: dict[str, Ledger], name: str, session: str) -> None:
    replay = ledgers[name].replay(session)
    offset_ns = clock_alignment(replay.rows).offset_ns
    for position, row in enumerate(replay.rows, 1):
        assert row.at_ns + offset_ns[row.process] == replay.at(position).at_ns
    assert subject_of(ledgers[name], session).on_clock.offset_ns == offset_ns


def test_bars_are_the_totals_sources_and_claims_of_a_role(ledgers: dict[str, Ledger]) -> None:
    drawn = rows_of(Read(page([subject_of(ledgers["vllm"], "vllm cold")])).data, "a-bars", "bars")
    labels = [str(bar["label"]) for bar in drawn]
    of_encoder = drawn[labels.index("encoder · compile") + 1 :]
    assert [bar["label"] for bar in of_encoder[:4]] == [
        "on the clock, Worker rank 0", "source monitor, Worker rank 0",
        "source backend, Worker rank 0", "source torch, Worker rank 0",
    ]  # fmt: skip
    ((total_ns,),) = values(
        ledgers["vllm"], "vllm cold",
        "SELECT max_ns FROM session_totals "
        "WHERE session = :session AND role = 'encoder' AND activity = 'compile'",
    )  # fmt: skip
    assert of_encoder[0]["number"] == seconds(total_ns)
    label = "engine says: front end: encoder_compilation_time = 0.0"
    [says_nothing] = [bar for bar in of_encoder if bar["label"] == label]
    assert (says_nothing["seconds"], says_nothing["measured"]) == (0, of_encoder[0]["seconds"])


def test_a_claim_is_marked_at_the_end_of_the_interval_that_it_speaks_of() -> None:
    builder = SessionBuilder()
    builder.begin()
    outer = builder.start(2 * SECOND, "torch_compile", role="encoder", source="monitor")
    builder.stop(10 * SECOND, outer)
    builder.claim(11 * SECOND, 5 * SECOND, source="monitor", role="encoder", interval=outer)
    builder.claim(12 * SECOND, 1 * SECOND, source="engine", role="encoder", counts="total")
    builder.end(20 * SECOND)
    drawn = rows_of(
        Read(page([subject_of(MemoryLedger(builder.events), "session")])).data, "a-timeline", "claims"
    )
    spoken = {bool(claim["has_interval"]): claim for claim in drawn}
    assert (spoken[True]["start"], spoken[True]["stop"]) == (5, 10)
    assert (spoken[False]["start"], spoken[False]["stop"]) == (12, 12)
    assert all(claim["differs"] for claim in drawn)
    tip = spoken[True]["tip"]
    assert isinstance(tip, dict)
    assert (tip["claimed"], tip["measured"], tip["difference"]) == ("5.000 s", "8.000 s", "-3.000 s")


@pytest.mark.parametrize("named", [5, [[1]], ["a"], {"1": 1}, None])
def test_a_claim_that_names_its_intervals_in_an_unknown_way_is_shown_all_the_same(named: object) -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.claim(11 * SECOND, 5 * SECOND, source="monitor", data={"intervals": named})
    builder.end(20 * SECOND)
    [one] = linked_claims(subject_of(MemoryLedger(builder.events), "session"))
    assert (one.interval, one.row.reconciliation.main_cause) == (None, "unmatched")


def test_two_sessions_stand_side_by_side_on_the_same_scales(ledgers: dict[str, Ledger]) -> None:
    subjects = [subject_of(ledgers["vllm"], session) for session in ("vllm cold", "vllm warm")]
    read = Read(page(subjects))
    charts = read.data["charts"]
    assert isinstance(charts, dict)
    for chart in ("bars", "timeline"):
        domains = [
            scale["domain"]
            for side in "ab"
            for scale in charts[f"{side}-{chart}"]["scales"]
            if scale["name"] == "x"
        ]
        assert len(domains) == 2
        assert domains[0] == domains[1]
    rows = values(
        ledgers["vllm"], "vllm cold",
        "SELECT a.max_ns, b.max_ns, b.max_ns - a.max_ns FROM session_totals a "
        "JOIN session_totals b ON b.session <> a.session AND b.role IS a.role AND b.activity = a.activity "
        "WHERE a.session = :session ORDER BY abs(b.max_ns - a.max_ns) DESC",
    )  # fmt: skip
    assert read.numbers("by-role", 2, 3, 4) == rows


def test_a_page_is_of_one_session_or_two(ledgers: dict[str, Ledger]) -> None:
    subject = subject_of(ledgers["demo"], "demo cold")
    for number in (0, 3):
        with pytest.raises(ValueError, match="one session or of two"):
            page([subject] * number)


def test_the_same_events_give_the_same_page_in_whatever_order(ledgers: dict[str, Ledger]) -> None:
    events = [parse_event(line) for line in (DATA / "demo.jsonl").read_bytes().splitlines()]
    expected = page([subject_of(ledgers["demo"], "demo cold")])
    Random(1).shuffle(events)
    assert page([subject_of(MemoryLedger(events), "demo cold")]) == expected


def hostile_events(text: str) -> list[Event]:
    """Return a session in which everything that can be named is called so."""
    events: list[Event] = []
    builder = SessionBuilder(text, process=text)
    builder.begin(label=text, host=text)
    for start, role, outcome in ((0, text, "completed"), (20, "encoder", "failed")):
        names = {"component": text, "thread": text}
        outer = builder.start(
            start * SECOND, text, role=role, source="user", activity="compile", **names
        )  # fmt: skip
        inner = builder.start((start + 1) * SECOND, text, source="torch", parent=outer, **names)
        builder.stop((start + 2) * SECOND, inner)
        builder.stop((start + 9) * SECOND, outer, outcome, text if outcome == "failed" else None)
        builder.claim(
            (start + 9) * SECOND, 3 * SECOND, source="user", stage=text, role=role, interval=outer, text=text
        )
    builder.start(30 * SECOND, text, role=text, source="user", activity="compile")
    builder.stop(31 * SECOND, 999)
    builder.milestone(32 * SECOND, text)
    events += builder.events
    line = json.dumps({"session": text, "process": text, "seq": len(events), "at_ns": 33 * SECOND,
                       "kind": "gap_noted", "what": text, "count": 1, "detail": text})  # fmt: skip
    return [*events, parse_event(json.loads(line))]


@pytest.mark.parametrize("text", [HOSTILE, LONG, "\x00\x1b[31m\u202e", "'", "%s{0}${x}"])
def test_what_comes_from_a_ledger_stays_text(text: str) -> None:
    ledger = MemoryLedger(hostile_events(text))
    ledger.warning = text
    plain = Read(page([subject_of(MemoryLedger(hostile_events("plain")), "plain")]))
    written = page([subject_of(ledger, text)])
    read = Read(written)
    assert sorted(set(read.tags)) == sorted(set(plain.tags))
    assert len(read.scripts) == len(plain.scripts) == 5
    assert read.own_scripts == plain.own_scripts
    assert not [value for name, value in read.attributes if name.startswith("on") or name == "src"]
    assert {value for name, value in read.attributes if name == "href" and not value.startswith("#")} == set()
    stages = [row["label"] for row in rows_of(read.data, "a-timeline", "intervals")]
    shown = " ".join(text.split())
    assert any(str(stage).startswith(shown[:40]) for stage in stages)
    assert LONG[:700] not in written


def test_the_page_may_run_its_own_scripts_and_load_nothing(ledgers: dict[str, Ledger]) -> None:
    read = Read(page([subject_of(ledgers["demo"], "demo cold")]))
    (policy,) = [value for name, value in read.attributes if name == "content" and "default-src" in value]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in read.own_scripts
    ]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert not {"connect-src", "img-src", "font-src"} & rules.keys()


def test_nothing_is_drawn_of_a_session_without_intervals() -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.end(SECOND)
    read = Read(page([subject_of(MemoryLedger(builder.events), "session")]))
    assert "No interval was recorded." in read.text
    assert read.data["charts"] == {}


def test_processes_of_two_hosts_are_laid_beside_each_other_and_the_page_says_how_well() -> None:
    here, there = SessionBuilder(process="here"), SessionBuilder(process="there")
    here.begin(5, wall_ns=100 * SECOND, host="a")
    there.begin(7_000 * SECOND, wall_ns=103 * SECOND, host="b")
    for builder, start in ((here, 5), (there, 7_000 * SECOND)):
        builder.stop(start + SECOND, builder.start(start, "dynamo", role="encoder"))
    subject = subject_of(MemoryLedger([*here.events, *there.events]), "session")
    drawn = picture(subject, linked_claims(subject))
    assert [(one.interval.process, one.start_ns) for one in drawn.intervals] == [
        ("here", 0),
        ("there", 3 * SECOND),
    ]
    assert [lane.name for lane in drawn.lanes] == ["here on a · main", "there on b · main"]
    assert "There are 2 clocks" in " ".join(Read(page([subject])).text)


spans = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: (min(ends), max(ends))), max_size=30
).map(lambda ends: [Span(start, stop, place) for place, (start, stop) in enumerate(ends)])


@given(spans)
def test_no_two_intervals_of_a_row_are_on_top_of_each_other(spans: list[Span]) -> None:
    laid_out = nested(spans)
    assert sorted(one.span.place for one in laid_out) == list(range(len(spans)))
    by_place = {one.span.place: one for one in laid_out}
    for one in laid_out:
        if one.around is not None:
            around = by_place[one.around]
            assert around.row < one.row
            assert around.span.start_ns <= one.span.start_ns
            assert one.span.stop_ns <= around.span.stop_ns
        for other in laid_out:
            if other.row == one.row < DEEPEST and other is not one:
                assert other.span.stop_ns <= one.span.start_ns or one.span.stop_ns <= other.span.start_ns, (
                    "they overlap"
                )


def test_what_is_deeper_than_anybody_can_see_takes_no_more_rows() -> None:
    laid_out = nested([Span(start, 10_000, start) for start in range(5_000)])
    assert max(one.row for one in laid_out) == DEEPEST


def intervals_of(builder: SessionBuilder) -> tuple[Interval, ...]:
    return MemoryLedger(builder.events).timeline().intervals


def deep_session(number: int, seed: int = 3) -> SessionBuilder:
    """Build a session like torch's: nested, most of it short."""
    random = Random(seed)
    builder = SessionBuilder()
    builder.begin()
    at_ns, running = 1_000, list[int]()
    for n in range(number):
        while running and (len(running) > 12 or random.random() < 0.45):
            at_ns += random.randrange(1, 1_000_000)
            builder.stop(at_ns, running.pop())
        source = "monitor" if n % 100 == 0 else "torch"
        at_ns += random.randrange(1, 1_000_000)
        running.append(builder.start(at_ns, "dynamo", role="encoder", source=source, thread=f"t{n % 2}"))
    for interval in reversed(running):
        at_ns += 1_000
        builder.stop(at_ns, interval)
    builder.end(at_ns + 1_000)
    return builder


def thin(intervals: Iterable[Interval], limit: int, claimed: Iterable[int] = ()) -> Thinned:
    given = tuple(intervals)
    spans: dict[str | None, list[Span]] = {}
    for place, one in enumerate(given):
        assert one.stop_ns is not None
        spans.setdefault(one.thread, []).append(Span(one.start_ns, one.stop_ns, place))
    length_ns = max(one.stop_ns or 0 for one in given)
    return thinned([nested(of_thread) for of_thread in spans.values()], given, set(claimed), length_ns, limit)


def test_a_session_that_is_not_too_large_is_drawn_whole() -> None:
    intervals = intervals_of(deep_session(300))
    thin_one = thin(intervals, limit=300)
    assert sum(map(len, thin_one.drawn)) == 300
    assert not any(thin_one.blocks)


@pytest.mark.parametrize("seed", range(4))
def test_each_interval_is_drawn_or_counted_in_one_block(seed: int) -> None:
    intervals = intervals_of(deep_session(1_500, seed))
    thin_one = thin(intervals, limit=200)
    drawn = [one.span.place for thread in thin_one.drawn for one in thread]
    blocks = [block for thread in thin_one.blocks for block in thread]
    assert 200 <= len(drawn) <= 200 + DEEPEST
    assert sorted([*drawn, *(place for block in blocks for place in block.places)]) == list(
        range(len(intervals))
    )
    for block in blocks:
        inside = [intervals[place] for place in block.places]
        assert block.start_ns == min(one.start_ns for one in inside)
        assert block.stop_ns == max(one.stop_ns or 0 for one in inside)
        assert 0 <= block.union_ns <= block.stop_ns - block.start_ns
    for thread, of_thread in zip(thin_one.drawn, thin_one.blocks, strict=True):
        for one in thread:
            for block in of_thread:
                is_beside = block.stop_ns <= one.span.start_ns or one.span.stop_ns <= block.start_ns
                assert is_beside or block.row != one.row


def test_what_somebody_may_look_for_is_drawn_before_what_is_long() -> None:
    intervals = intervals_of(deep_session(1_500))
    shortest = min(range(len(intervals)), key=lambda place: intervals[place].duration_ns or 0)
    thin_one = thin(intervals, limit=200, claimed=[shortest])
    drawn = {one.span.place for thread in thin_one.drawn for one in thread}
    special = {place for place, one in enumerate(intervals) if is_looked_for(one)}
    assert len(special) < 200
    assert special | {shortest} <= drawn


def test_the_page_says_how_it_was_thinned_and_marks_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.reports.html.thinning.thinned.__defaults__", (200,))
    subject = subject_of(MemoryLedger(deep_session(1_500).events), "session")
    drawn = picture(subject, linked_claims(subject))
    read = Read(page([subject]))
    message = re.search(
        r"Drawn one by one: (\d+) of 1,500 intervals. The other ([\d,]+), none longer than ([\d.]+) s, "
        r"are in (\d+) dotted blocks",
        " ".join(read.text),
    )
    assert message is not None
    assert int(message[1]) == len(drawn.intervals) == len(rows_of(read.data, "a-timeline", "intervals"))
    assert int(message[2].replace(",", "")) == 1_500 - len(drawn.intervals)
    blocks = rows_of(read.data, "a-timeline", "blocks")
    assert int(message[4]) == len(blocks)
    counted = [int(str(block["label"]).split(" more")[0].replace(",", "")) for block in blocks]
    assert sum(counted) == drawn.hidden
    assert float(message[3]) == round(drawn.longest_hidden_ns / 1e9, 3)


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    file = tmp_path / "startup.db"
    lines = (DATA / "demo.jsonl").read_bytes().splitlines()
    store = Store.open(file)
    with store.transaction():
        store.append([to_row(parse_event(line)) for line in lines])
    store.close()
    Ledger.open(file).close()
    return file


def run(*arguments: object) -> tuple[int, str, str]:
    """Run a command as `compile-ledger` does; return exit code, output, and error."""
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return ran.exit_code, ran.output, str(ran.exception or "")


def test_report_writes_a_page_and_says_so(ledger_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "a <b> 'c'.html"
    out.write_text("before")
    refused = run("report", ledger_file, "--session", "demo cold", "--html", out)
    assert (refused[0], refused[2]) == (1, f"{out}: already exists; choose another name or use --force")
    assert out.read_text() == "before"
    code, message, _ = run("report", ledger_file, "--session", "demo cold", "--html", out, "--force")
    assert (code, message.startswith(f"{out}: demo cold, one page of ")) == (0, True)
    assert out.read_text().startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    both = ("-s", "demo cold", "--against", "demo warm", "--force")
    code, message, _ = run("report", ledger_file, "--html", out, *both)
    assert (code, "demo cold against demo warm" in message) == (0, True)
    assert '<h1><span class="letter">B</span> demo warm: completed</h1>' in out.read_text()


def test_what_a_link_points_to_is_written(ledger_file: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "link.html", tmp_path / "target.html"
    link.symlink_to(target)
    assert run("report", ledger_file, "--html", link)[0] == 0
    assert link.is_symlink()
    assert target.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "{folder}"], "is a folder; name a file to write"),
        (["--html", "{folder}/none/x.html"], "no such folder"),
        (["--html", "{folder}/startup.db"], "is a ledger or another database"),
        (["--html", "x.html", "--json"], "--json and --html were both given"),
        (["--against", "demo warm"], "--against needs --html"),
        (["--html", "{folder}/x.html", "-s", "demo warm", "--against", "demo warm"], "on both sides"),
        (["--html", "{folder}/x.html", "--against", "nothing"], "no session 'nothing'"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(
    ledger_file: Path, arguments: list[str], message: str
) -> None:
    folder = ledger_file.parent
    before = {file: file.stat().st_size for file in folder.iterdir()}
    code, _, error = run("report", ledger_file, *(each.format(folder=folder) for each in arguments))
    assert code == 1  # which `main` makes a line on stderr and a 2 of
    assert message in error
    assert "\n" not in error
    assert {file: file.stat().st_size for file in folder.iterdir()} == before


@pytest.mark.parametrize("missing", ["altair", "jinja2", "vl_convert"])
def test_a_missing_extra_is_named_in_one_line(missing: str, ledger_file: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from ledger.cli import main; "
        f"sys.argv[1:] = ['report', {str(ledger_file)!r}, '--html', {str(tmp_path / 'x.html')!r}]; main()"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert re.fullmatch(
        r"compile-ledger: a page needs \S+, which is not installed: pip install \"compile-ledger\[html\]\"\n",
        ran.stderr,
    )
    assert not (tmp_path / "x.html").exists()
