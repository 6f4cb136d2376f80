"""Which sessions a name stands for, and which of them count: the same for `diff` and for `check`."""

from pathlib import Path

import pytest

from ledger import Budget, Event, Ledger, LedgerError, UnknownSession, check_budget, reduce
from ledger.analysis.budget import evaluate
from ledger.analysis.cohorts import Place, place_of, sides, why_left_out
from ledger.events.models import ProcessLost
from ledger.events.rows import to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.vocabulary import Outcome, Readiness

S = 1_000_000_000
HERE = Path("startup.db")
RELATIVE = Budget.from_mapping({"total": [{"role": "encoder", "at_most_over_baseline": "10 %"}]})


def session(
    name: str,
    label: str,
    *,
    outcome: Outcome | None = "completed",
    ready: Readiness | None = None,
    is_imported: bool = False,
) -> list[Event]:
    builder = SessionBuilder(name)
    builder.begin(label=label)
    builder.stop(S, builder.start(0, "torch_compile", role="encoder", source="monitor"))
    if ready is not None:
        builder.milestone(S, ready)
    if outcome is not None:
        builder.end(S, outcome)
    if is_imported:
        # What a log tells of its processes names no host.
        return [
            event.model_copy(update={"host": None}) if event.kind == "process_joined" else event
            for event in builder.events
        ]
    return builder.events


MIXED = [
    *session("1-completed", "main"),
    *session("2-failed", "main", outcome="failed"),
    *session("3-running", "main", outcome=None),
    *session("4-imported", "main", outcome=None, is_imported=True),
    *session("5-served", "main", outcome="failed", ready="engine_ready"),
    *session("6-serves", "main", outcome=None, ready="engine_ready"),
    *session("7-server", "main", outcome="failed", ready="server_ready"),
    *session("8-new", "new"),
]
COUNT = ("1-completed", "4-imported", "5-served", "6-serves", "7-server")
LEFT_OUT = {
    "2-failed": "failed, and has not become ready",
    "3-running": "is running, and has not become ready",
}


def write(path: Path, events: list[Event]) -> Path:
    store = Store.open(path)
    with store.transaction():
        store.append([to_row(event) for event in events])
    bring_up_to_date(store)
    store.close()
    return path


def test_diff_and_check_count_the_same_sessions_of_a_label(path: Path) -> None:
    write(path, MIXED)
    of_a, _ = sides("main", "new", path, on_open=lambda _: None)
    with Ledger.open(path) as ledger:
        verdicts = check_budget(ledger, RELATIVE, session="new", baseline="main")
    assert set(of_a.sessions) == set(verdicts.baseline_sessions) == set(COUNT)
    for left_out in (of_a.left_out, verdicts.baseline_left_out):
        assert dict(left_out) == LEFT_OUT
    assert verdicts.broken == ()


def test_a_checked_session_that_does_not_count_breaks_the_check_and_says_why() -> None:
    verdicts = check_budget(MemoryLedger(MIXED), RELATIVE, session="main", baseline="new")
    faults = {row.session: row.fault for row in verdicts.rows if row.kind == "session"}
    assert {name for name, fault in faults.items() if fault is None} == set(COUNT)
    for name, why in LEFT_OUT.items():
        assert str(faults[name]).startswith(f"it {why}")
    # The median is that of the five that count.
    assert "the median of 5 sessions is compared" in next(
        row.sentence for row in verdicts.rows if row.is_relative
    )


def test_a_session_that_may_still_run_counts_where_that_is_asked_for() -> None:
    running = reduce(session("s", "main", outcome=None))
    assert why_left_out(running) == LEFT_OUT["3-running"]
    assert why_left_out(running, may_run=True) is None
    assert why_left_out(reduce(session("s", "main", outcome="failed")), may_run=True) is not None
    assert why_left_out(reduce([])) == "has no events"


@pytest.mark.parametrize("ready", ["server_ready", "engine_ready"])
def test_a_server_that_is_killed_after_it_was_ready_counts(ready: Readiness) -> None:
    events = session("s", "main", outcome=None, ready=ready)
    killed = ProcessLost(
        session="s", process="process:lost", seq=0, at_ns=2 * S, lost="process", last_seq=len(events) - 1
    )
    timeline = reduce([*events, killed])
    assert timeline.session is not None
    assert timeline.session.outcome == "lost"
    assert why_left_out(timeline) is None
    before_ready = [*session("s", "main", outcome=None), killed.model_copy(update={"last_seq": 3})]
    assert why_left_out(reduce(before_ready)) == "is lost, and has not become ready"
    budget = Budget.from_mapping({"total": [{"role": "encoder", "at_most": "2 s"}]})
    assert evaluate(budget, [timeline], None).broken == ()


def test_a_label_goes_before_the_beginning_of_an_id_and_an_id_before_both(path: Path) -> None:
    events = [*session("2026-1", "other"), *session("one", "2026"), *session("2026", "2026-1")]
    write(path, events)
    with Ledger.open(path) as ledger:
        assert ledger.find_sessions("2026-1") == ["2026-1"]
        assert ledger.find_sessions("2026") == ["2026"]
        assert ledger.find_sessions("202") == sorted(["2026-1", "2026"], key=ledger.sessions().index)
    labelled = MemoryLedger([*session("2026-1", "other"), *session("one", "2026")])
    assert labelled.find_sessions("2026") == ["one"]
    verdicts = check_budget(labelled, RELATIVE, session="2026-1", baseline="2026")
    assert verdicts.baseline_sessions == ("one",)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("main", Place(HERE, "main")),
        ("main: a", Place(HERE, "main: a")),
        ("no.db:main", Place(HERE, "no.db:main")),
        ("other.db", Place(Path("other.db"), None)),
        ("other.db:", Place(Path("other.db"), None)),
        ("other.db:main", Place(Path("other.db"), "main")),
        ("other.db:a: b:c", Place(Path("other.db"), "a: b:c")),
        ("12:30.db", Place(Path("12:30.db"), None)),
        ("12:30.db:main", Place(Path("12:30.db"), "main")),
        ("12:30.db:a:b", Place(Path("12:30.db"), "a:b")),
        ("12:30", Place(Path("12"), "30")),
        ("journals.db:main", Place(Path("journals.db"), "main")),
        (":main", Place(HERE, ":main")),
        ("", Place(HERE, "")),
    ],
)
def test_a_name_is_a_file_a_name_in_a_file_or_a_name_here(
    text: str, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("other.db", "12:30.db", "12", "startup.db"):
        Path(name).touch()
    Path("journals.db.journal").mkdir()
    (Path("journals.db.journal") / "1-a.jsonl").touch()
    assert place_of(text, HERE) == place


def test_diff_and_check_read_a_name_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "12:30.db", [*session("old", "a:b"), *session("newest", "other")])
    write(tmp_path / "startup.db", session("new", "new"))
    for name, found in (("12:30.db:a:b", "old"), ("12:30.db", "newest"), ("12:30.db:old", "old")):
        of_a, _ = sides(name, "new", HERE, on_open=lambda _: None)
        with Ledger.open(HERE) as ledger:
            verdicts = check_budget(ledger, RELATIVE, session="new", baseline=name)
        assert of_a.sessions == verdicts.baseline_sessions == (found,)
        assert of_a.name == verdicts.baseline == name


def test_a_file_that_is_no_ledger_is_the_label_of_the_log_that_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cold.log", "warm.log"):
        Path(name).write_text("INFO 11-22 09:18:02 [x.py:1] Using x\n")
    assert place_of("cold.log", HERE) == Place(Path("cold.log"), None)
    write(HERE, [*session("a", "cold.log"), *session("b", "warm.log")])
    of_a, of_b = sides("cold.log", "warm.log", HERE, on_open=lambda _: None)
    assert (of_a.sessions, of_b.sessions) == (("a",), ("b",))


def test_what_stands_for_nothing_is_refused_by_both(path: Path) -> None:
    write(path, session("new", "new"))
    with pytest.raises(
        UnknownSession, match=r"no session 'none'.*; for another ledger write FILE or FILE:NAME"
    ):
        sides("none", "new", path, on_open=lambda _: None)
    with (
        Ledger.open(path) as ledger,
        pytest.raises(UnknownSession, match=r"baseline: .*FILE or FILE:NAME"),
    ):
        check_budget(ledger, RELATIVE, baseline="none")
    with pytest.raises(LedgerError, match=r"none: no such file, and no ledger missing\.db"):
        sides("none", "new", Path("missing.db"), on_open=lambda _: None)
