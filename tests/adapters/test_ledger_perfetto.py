"""A trace shows what the ledger says, as Perfetto's own trace processor reads it."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ledger import Event, Interval, Ledger, LedgerError, parse_event
from ledger.adapters import claim_intervals, each_after_enclosers
from ledger.events.models import MilestoneReached
from ledger.interchange.exporters import export, exporter_of
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.spans import union_ns
from ledger_perfetto.drawing import drawing
from ledger_perfetto.nesting import Spread
from tests.support.paths import DATA
from tests.support.random_sessions import sessions
from tests.support.trace_processor import TraceProcessor, trace_processor
from tests.timeline.reconciliation.test_reconciliation_anything import SESSIONS, SLOW

FORMS = ["perfetto", "chrome"]
KEPT = [
    ("demo", "demo cold"), ("demo", "demo warm"), ("demo", "killed"), ("vllm", "vllm cold"),
    ("vllm", "vllm warm"),
]  # fmt: skip
S = 1_000_000_000
HOSTILE = ["<script>alert(1)</script>", 'it\'s "quoted"', "two\nlines", "nul\0", "ünï☃\u2028", "x" * 10_000]
NOTES = "(SELECT {column} FROM args WHERE arg_set_id = slice.arg_set_id AND flat_key = '{prefix}.{name}')"


@pytest.fixture(scope="module")
def processor() -> Iterator[TraceProcessor]:
    with trace_processor() as running:
        yield running


@pytest.fixture(scope="module")
def ledgers() -> dict[str, Ledger]:
    return {
        name: MemoryLedger(map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines()))
        for name in ("demo", "vllm")
    }


class Shown:
    """What a viewer has of a session."""

    def __init__(self, processor: TraceProcessor, ledger: Ledger, form: str, session: str) -> None:
        self.trace = b"".join(export(ledger, [ledger.session(session)], exporter_of(form)))
        processor.load(self.trace)
        self._query = processor.query
        prefix = {"perfetto": "debug", "chrome": "args"}[form]
        asked = {"process": "string_value", "interval": "int_value", "role": "string_value",
                 "activity": "string_value", "is_top_level": "int_value"}  # fmt: skip
        notes = (
            f"{NOTES.format(column=column, prefix=prefix, name=name)} AS {name}"
            for name, column in asked.items()
        )
        rows = processor.query(f"SELECT name, ts, dur, {', '.join(notes)} FROM slice ORDER BY id")
        self.intervals = {(row["process"], row["interval"]): row for row in rows if row["activity"]}
        self.marks = [row for row in rows if not row["activity"]]
        assert len(self.intervals) + len(self.marks) == len(rows)

    def faults(self) -> list[dict[str, Any]]:
        return self._query(
            "SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0"
        )

    def totals_of_slices(self) -> dict[tuple[str, str | None, str], int]:
        """Return the union of the top-level slices of each role, which SQL here adds up by itself."""
        spans: defaultdict[tuple[str, str | None, str], list[tuple[int, int]]] = defaultdict(list)
        for row in self.intervals.values():
            of_role = spans[row["process"], row["role"], row["activity"]]
            if row["is_top_level"] and row["dur"] >= 0:
                of_role.append((row["ts"], row["ts"] + row["dur"]))
        return {role: union_ns(of_role) for role, of_role in spans.items()}

    def totals_of_counters(self) -> "Counter[tuple[str, int]]":
        rows = self._query(
            "SELECT t.name AS name, CAST(max(c.value) AS INT) AS total_ns FROM counter c "
            "JOIN track t ON t.id = c.track_id GROUP BY t.id"
        )
        return Counter((row["name"].removesuffix(" ns"), row["total_ns"]) for row in rows)


def check(shown: Shown, ledger: Ledger, session: str) -> None:
    timeline, offset_ns = ledger.timeline(session), ledger.clock_alignment(session).offset_ns
    assert shown.faults() == []
    assert {key: (row["ts"], row["dur"]) for key, row in shown.intervals.items()} == {
        (one.process, one.interval): (
            one.start_ns + offset_ns[one.process],
            -1 if one.stop_ns is None else one.stop_ns - one.start_ns,
        )
        for one in timeline.intervals
    }
    assert len(shown.marks) == len(timeline.claims) + len(timeline.milestones) + len(timeline.gaps)
    totals = {(one.process, one.role, one.activity): one.total_ns for one in timeline.role_totals}
    assert shown.totals_of_slices() == totals
    named = ((f"{role or '(whole process)'} · {what}, total", ns) for (_, role, what), ns in totals.items())
    assert shown.totals_of_counters() == Counter(named)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "session"), KEPT)
def test_a_real_session_is_all_there_with_its_totals(
    processor: TraceProcessor, ledgers: dict[str, Ledger], form: str, name: str, session: str
) -> None:
    shown = Shown(processor, ledgers[name], form, session)
    assert len(shown.intervals) > 20
    check(shown, ledgers[name], session)


def two_hosts() -> list[Event]:
    """Return a start of two processes with one pid on two hosts, threads that cross, and open intervals."""
    here, there = SessionBuilder(process="here"), SessionBuilder(process="there")
    here.begin(5 * S, wall_ns=100 * S, host="a")
    there.begin(7_000 * S, wall_ns=103 * S, host="b")
    for builder, at in ((here, 5 * S), (there, 7_000 * S)):
        joined = builder.events[-1]
        builder.events[-1] = joined.model_copy(update={"pid": 1})
        one = builder.start(at, "dynamo", role="encoder", thread="one")
        two = builder.start(at + S, "backend_compile", role="encoder", thread="two")
        same = builder.start(at + S, "graph_compile", role="encoder", thread="one")
        builder.stop(at + 4 * S, one)
        builder.stop(at + 6 * S, same)  # crosses what it began in, on its own thread too
        builder.stop(at + 9 * S, two)
        builder.start(at + 2 * S, "graph_capture", role="encoder", thread="one")
        builder.start(at + 3 * S, "warmup", thread="one")
    return [*here.events, *there.events]


@pytest.mark.parametrize("form", FORMS)
def test_crossing_threads_open_intervals_and_two_hosts_have_exact_totals(
    processor: TraceProcessor, form: str
) -> None:
    ledger = MemoryLedger(two_hosts())
    shown = Shown(processor, ledger, form, "session")
    check(shown, ledger, "session")
    assert shown.totals_of_slices()["here", "encoder", "compile"] == 9 * S
    assert shown.intervals["there", 2]["ts"] == 3 * S
    assert [row["dur"] for row in shown.intervals.values()].count(-1) == 4
    processes = drawing(ledger, "session").processes
    assert [(one.name, one.pid) for one in processes] == [("here on a", None), ("there on b", None)]


@given(sessions())
@settings(max_examples=60, deadline=None, suppress_health_check=[*SLOW, HealthCheck.function_scoped_fixture])
def test_random_sessions_have_exact_totals(processor: TraceProcessor, events: list[Event]) -> None:
    if events:
        ledger = MemoryLedger(events)
        for form in FORMS:
            check(Shown(processor, ledger, form, "s"), ledger, "s")


@given(SESSIONS)
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_whatever_the_events_say_it_is_written(events: list[Event]) -> None:
    try:
        ledger = MemoryLedger(events) if events else None
    except OverflowError:
        return  # of derived numbers beyond 64 bits there is no ledger
    for form in FORMS if ledger else ():
        assert b"".join(export(ledger, [ledger.session()], exporter_of(form)))


@given(sessions())
def test_no_interval_crosses_another_on_its_track(events: list[Event]) -> None:
    intervals = MemoryLedger(events).timeline("s").intervals if events else ()
    of_one = [one for one in intervals if one.process == "p"]
    spread, tracks = Spread(), defaultdict[int, list[Interval]](list)
    for one in each_after_enclosers(of_one):
        tracks[spread.track_of(one)].append(one)
    for track in tracks.values():
        assert len({one.stop_ns is None for one in track}) == 1
        for place, one in enumerate(track):
            for before in track[:place]:
                if one.stop_ns is not None and before.stop_ns is not None:
                    assert before.stop_ns <= one.start_ns or one.stop_ns <= before.stop_ns


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", FORMS)
def test_text_stays_text(processor: TraceProcessor, form: str, text: str) -> None:
    builder = SessionBuilder()
    builder.begin(label=text, host=text)
    stage = builder.start(S, text, role=text, component=text, thread=text)
    builder.stop(2 * S, stage, "failed", text)
    builder.claim(3 * S, S, source="monitor", stage=text, role=text, text=text)
    builder.events.append(
        MilestoneReached(session="session", process="process", seq=len(builder.events), at_ns=S, name=text)
    )
    shown = Shown(processor, MemoryLedger(builder.events), form, "session")
    assert shown.faults() == []
    [row] = shown.intervals.values()
    assert row["role"] == text.split("\0")[0]  # where the processor's own texts end
    if form == "chrome":
        events = json.loads(shown.trace)["traceEvents"]
        assert f"{text} · {text}" in {event["name"] for event in events}


def test_a_claim_points_at_the_interval_that_it_speaks_of(
    processor: TraceProcessor, ledgers: dict[str, Ledger]
) -> None:
    Shown(processor, ledgers["vllm"], "perfetto", "vllm cold")
    arrows = processor.query(
        "SELECT o.name AS interval, i.name AS claim FROM flow f "
        "JOIN slice o ON o.id = f.slice_out JOIN slice i ON i.id = f.slice_in"
    )
    assert any("torch_compile" in one["interval"] and one["claim"].startswith("monitor") for one in arrows)
    assert all(" says " in one["claim"] for one in arrows)


def test_an_arrow_leads_from_each_interval_that_a_claim_names(processor: TraceProcessor) -> None:
    builder = SessionBuilder()
    builder.begin()
    ids = [builder.start(at * S, "dynamo", source="torch") for at in (1, 3)]
    for at, interval in zip((4, 5), reversed(ids), strict=True):
        builder.stop(at * S, interval)
    builder.claim(6 * S, S, source="torch", counts="addition", data={"intervals": [*ids, 99]})
    builder.claim(7 * S, S, source="torch", counts="total", interval=ids[0])
    Shown(processor, MemoryLedger(builder.events), "perfetto", "session")
    arrows = processor.query(
        "SELECT o.ts AS out, i.ts AS into_ FROM flow f "
        "JOIN slice o ON o.id = f.slice_out JOIN slice i ON i.id = f.slice_in ORDER BY out"
    )
    assert [tuple(one.values()) for one in arrows] == [(S, 6 * S), (3 * S, 6 * S)]


def test_a_claim_that_was_found_by_its_stage_speaks_of_what_it_was_held_against() -> None:
    builder = SessionBuilder()
    builder.begin()
    outer = builder.start(S, "torch_compile", source="monitor")
    for start, stop in ((1, 3), (3, 7)):
        builder.stop(stop * S, builder.start(start * S, "inductor", source="backend", activity="compile"))
    builder.stop(12 * S, outer)
    builder.claim(12 * S, 5 * S, source="monitor")
    timeline = MemoryLedger(builder.events).timeline("session")
    assert {cause.cause for cause in timeline.causes} == {"omitted_stage"}
    assert claim_intervals(timeline) == [()]  # its differences show in two others
    builder.claim(13 * S, 11 * S + 1, source="engine")
    timeline = MemoryLedger(builder.events).timeline("session")
    assert claim_intervals(timeline) == [(), (("process", outer),)]


def test_two_claims_of_one_id_keep_what_each_was_held_against(processor: TraceProcessor) -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.stop(3 * S, builder.start(S, "torch_compile", source="monitor"))
    number = builder.claim(4 * S, 2 * S, source="monitor")
    builder.claim(5 * S, S, source="monitor", stage="aot_load")
    builder.events[-1] = builder.events[-1].model_copy(update={"claim": number})
    Shown(processor, MemoryLedger(builder.events), "perfetto", "session")
    causes = NOTES.format(column="string_value", prefix="debug", name="main_cause")
    rows = processor.query(f"SELECT {causes} AS cause FROM slice WHERE dur = 0 AND name LIKE '% says %'")
    assert [row["cause"] for row in rows] == [None, "unmatched"]


def test_processes_of_one_name_are_not_one(processor: TraceProcessor) -> None:
    events = [event for name in ("a", "b") for event in worker(name, pid=1)]
    ledger = MemoryLedger(events)
    for form in FORMS:
        check(Shown(processor, ledger, form, "session"), ledger, "session")
    Shown(processor, ledger, "perfetto", "session")
    shown = processor.query(
        "SELECT p.name AS process FROM slice s JOIN track t ON t.id = s.track_id "
        "JOIN track p ON p.id = t.parent_id ORDER BY process"
    )
    assert [row["process"] for row in shown] == ["Worker pid 1 [a]", "Worker pid 1 [b]"]


def worker(process: str, pid: int) -> list[Event]:
    builder = SessionBuilder(process=process)
    builder.begin()
    builder.events[-1] = builder.events[-1].model_copy(update={"pid": pid, "name": "Worker"})
    builder.stop(3 * S, builder.start(S, "dynamo", role="encoder"))
    return builder.events


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pid", [0, 2**31, 99_999_999_999])
def test_a_pid_that_none_can_have_is_no_pid(processor: TraceProcessor, form: str, pid: int) -> None:
    ledger = MemoryLedger(worker("a", pid))
    check(Shown(processor, ledger, form, "session"), ledger, "session")
    assert f"pid {pid}" in drawing(ledger, "session").processes[0].description


@pytest.mark.parametrize("form", FORMS)
def test_a_wall_clock_before_the_epoch_is_no_time_of_day(processor: TraceProcessor, form: str) -> None:
    builder = SessionBuilder()
    builder.stop(S, builder.start(0, "dynamo"))
    builder.begin(5 * S, wall_ns=3 * S)
    ledger = MemoryLedger(builder.events)
    check(Shown(processor, ledger, form, "session"), ledger, "session")
    assert drawing(ledger, "session").wall_ns is None


def test_the_viewer_knows_the_time_of_day(processor: TraceProcessor, ledgers: dict[str, Ledger]) -> None:
    ledger = ledgers["vllm"]
    Shown(processor, ledger, "perfetto", "vllm cold")
    [first] = ledger.sql(
        "SELECT min(wall_ns) AS ns FROM events WHERE session = ?", [ledger.session("vllm cold")]
    )
    assert processor.query("SELECT to_realtime(0) AS ns") == [first]


def test_a_trace_is_of_one_session(ledgers: dict[str, Ledger]) -> None:
    ledger = ledgers["vllm"]
    with pytest.raises(LedgerError, match="a trace holds one session; name one with --session"):
        list(export(ledger, ledger.sessions(), exporter_of("perfetto")))


def test_a_form_that_nobody_knows(ledgers: dict[str, Ledger]) -> None:
    with pytest.raises(LedgerError, match=r"unknown format 'svg'; available: jsonl, .*chrome, .*perfetto"):
        exporter_of("svg")


@pytest.mark.parametrize("form", FORMS)
def test_redacted_nothing_of_the_machine_is_left(form: str) -> None:
    builder = SessionBuilder()
    builder.begin(host="secret-host")
    builder.stop(2 * S, builder.start(S, "dynamo"))
    builder.claim(3 * S, S, source="monitor", text="compiled /home/secretuser/x.py", stage="dynamo")
    ledger = MemoryLedger(builder.events)
    there = b"".join(export(ledger, ["session"], exporter_of(form)))
    blotted = b"".join(export(ledger, ["session"], exporter_of(form), redact=True))
    for word in (b"secret-host", b"secretuser"):
        assert word in there
        assert word not in blotted


@pytest.mark.parametrize("form", FORMS)
def test_a_session_whose_id_tells_a_user_is_redacted_too(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    builder = SessionBuilder("alice-run")
    builder.begin()
    builder.stop(2 * S, builder.start(S, "dynamo"))
    ledger = MemoryLedger(builder.events)
    blotted = b"".join(export(ledger, ["alice-run"], exporter_of(form), redact=True))
    assert b"dynamo" in blotted
    assert b"alice" not in blotted


def test_redacted_sessions_keep_their_order() -> None:
    events = [event for name in ("b", "a") for event in begun(name)]
    given: list[str] = []

    class Form:
        is_text = can_redact = True

        def open_command(self, ledger: Path, written: Path) -> str:
            return ""

        def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
            given.extend(sessions)
            yield b""

    list(export(MemoryLedger(events), ["b", "a"], Form(), redact=True))
    assert given == ["b", "a"]


def begun(session: str) -> list[Event]:
    builder = SessionBuilder(session)
    builder.begin()
    return builder.events


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("sys.modules['perfetto'] = None", 'pip install "compile-ledger[perfetto]"; --format chrome needs'),
        (
            "import perfetto.protos.perfetto.trace as t; t.__path__ = [sys.argv[1]]",
            "Perfetto's package can't be used here (two versions): pip install --upgrade",
        ),
    ],
)
def test_without_a_package_that_works_the_other_form_is_named(tmp_path: Path, broken: str, said: str) -> None:
    (tmp_path / "perfetto_trace_pb2.py").write_text("raise RuntimeError('two\\nversions')")
    script = (
        f"import sys; sys.argv = ['', {str(tmp_path)!r}]; {broken}\n"
        "from ledger.cli import main\n"
        f"sys.argv = ['compile-ledger', 'export', {str(tmp_path / 'x.db')!r}, '--format', 'perfetto']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
