"""The saved queries: each is one file, says what it answers, and rests on promised columns alone.

Whatever is put into the folder of queries is tested here.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from ledger import Event, InvalidQuery, parse_event, saved_queries
from ledger.adapters import query_title, schema
from ledger.events.rows import to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.queries import saved_query
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.many_sessions import SECOND_RANK, recordings, write_many_sessions
from tests.support.paths import DATA, ROOT
from tests.support.reconciled import ENCODER, S, Worker, merged
from tests.support.starts import kept

FOLDER = ROOT / "ledger" / "storage" / "queries"
QUERIES = sorted(file.stem for file in FOLDER.glob("*.sql"))
NOT_IN_THE_RECORDINGS = {"after_ready", "why_cold"}
"""Nothing of the kind happened there: equal cache keys, and no compile after the engine was ready."""
FEW, MANY = 40, 160
STEPS_AT_ONCE = 100
MAX_GROWTH = 1.5 * MANY / FEW


def write(path: Path, events: list[Event]) -> Path:
    store = Store.open(path)
    with store.transaction():
        store.append([to_row(event) for event in events])
    bring_up_to_date(store)
    store.close()
    return path


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


@pytest.fixture(scope="module")
def kept_ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A ledger of each kept recording."""
    folder = tmp_path_factory.mktemp("kept")
    starts = [event for label in ("cold", "warm") for start in kept(label) for event in start]
    lines = {
        name: (DATA / f"{name}.jsonl").read_bytes().splitlines() for name in ("vllm", "demo", "compilations")
    }
    return [
        write(folder / "starts.db", starts),
        *(write(folder / f"{name}.db", [parse_event(line) for line in lines[name]]) for name in lines),
    ]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """Two ledgers of copies of the kept recordings, by the number of their sessions."""
    folder = tmp_path_factory.mktemp("copies")
    for count in (FEW, MANY):
        write_many_sessions(folder / f"{count}.db", count)
    return {count: folder / f"{count}.db" for count in (FEW, MANY)}


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_says_in_its_first_line_which_question_it_answers(name: str) -> None:
    text = (FOLDER / f"{name}.sql").read_text()
    first, second = text.splitlines()[:2]
    assert re.fullmatch(r"-- [A-Z].+\?", first)
    assert second.startswith(("SELECT", "WITH"))
    assert query_title(text) == first.removeprefix("-- ")
    assert saved_queries()[name] == saved_query(name) == text


def test_every_file_of_sql_is_a_saved_query_and_nothing_else_is() -> None:
    assert sorted(saved_queries()) == QUERIES
    assert QUERIES
    with pytest.raises(InvalidQuery, match=f"no saved query 'nothing'; there are: {QUERIES[0]}, "):
        saved_query("nothing")


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_answers_of_the_kept_recordings(
    name: str, kept_ledgers: list[Path], copies: Mapping[int, Path]
) -> None:
    answers: list[list[tuple[object, ...]]] = []
    for path in (*kept_ledgers, copies[MANY]):
        with closing(read_only(path)) as connection:
            cursor = connection.execute(saved_query(name))
            columns = [column[0] for column in cursor.description]
            assert len(set(columns)) == len(columns)
            answers.append(cursor.fetchall())
    assert any(answers)
    assert any(answers[:-1]) != (name in NOT_IN_THE_RECORDINGS)


# What a query may rest on


def unpromised(path: Path, query: str) -> set[tuple[str, str]]:
    """Return the tables and columns that a query reads itself, rather than a view, and nobody promises."""
    promised = {
        (name, column)
        for name, relation in schema().items()
        if not relation.is_internal
        for column in relation.columns
    }
    found: set[tuple[str, str]] = set()
    with closing(read_only(path)) as connection:
        there = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema")}

        def note(action: int, table: str | None, column: str | None, _: str | None, view: str | None) -> int:
            # Of a view, SQLite says which columns it reads in its turn; of no column, that it counts rows.
            if action == sqlite3.SQLITE_READ and table in there and view not in there and column:
                found.add((table, column))
            return sqlite3.SQLITE_OK

        connection.set_authorizer(note)
        connection.execute(query).fetchall()
        connection.set_authorizer(None)
    return found - promised


@pytest.mark.parametrize("name", QUERIES)
def test_a_saved_query_takes_only_promised_columns(name: str, kept_ledgers: list[Path]) -> None:
    assert unpromised(kept_ledgers[0], saved_query(name)) == set()


def test_a_query_that_takes_more_is_noticed(kept_ledgers: list[Path]) -> None:
    query = """
        WITH some AS (SELECT start_seq, session FROM projected_intervals)
        SELECT e.body, i.duration_s FROM some JOIN events e USING (session) JOIN intervals i USING (session)
        WHERE e.seq = some.start_seq LIMIT 1
    """
    found = unpromised(kept_ledgers[0], query)
    assert {("projected_intervals", "start_seq"), ("projected_intervals", "session")} <= found
    assert {table for table, _ in found} <= {"projected_intervals", "events"}


# How it grows


def steps(path: Path, query: str) -> int:
    """Return how many steps of its machine SQLite takes for a query: the same each time, unlike seconds."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    with closing(read_only(path)) as connection:
        connection.set_progress_handler(count, STEPS_AT_ONCE)
        connection.execute(query).fetchall()
    return taken * STEPS_AT_ONCE


@pytest.mark.parametrize("name", QUERIES)
def test_the_work_of_a_saved_query_grows_with_the_sessions_and_no_faster(
    name: str, copies: Mapping[int, Path]
) -> None:
    few, many = (steps(copies[count], saved_query(name)) for count in (FEW, MANY))
    assert few > STEPS_AT_ONCE
    assert many <= MAX_GROWTH * few


def test_work_that_grows_with_the_square_of_the_sessions_is_noticed(copies: Mapping[int, Path]) -> None:
    query = "SELECT count(*) FROM role_totals a JOIN role_totals b ON a.total_ns + b.total_ns = 1"
    few, many = (steps(copies[count], query) for count in (FEW, MANY))
    assert many > MAX_GROWTH * few


def one_session(path: Path, claims: int) -> Path:
    """A ledger with the projections of one session, each of whose claims of torch's has a cause."""
    store = Store.open(path)
    with store.transaction():
        columns = "session, outcome, process_count, event_count, versions"
        store.insert("sessions", columns, [("s", "completed", 1, 0, "{}")])
        columns = "session, process, outcome, event_count, lost_events, hooks, missing_hooks"
        store.insert("processes", columns, [("s", "p", "completed", 0, 0, "[]", "[]")])
        data = '{"field": "duration_us", "report": "dynamo"}'
        rows = [("s", "p", claim, "total" if claim % 2 else "interval", "torch") for claim in range(claims)]
        columns = "session, process, claim, counts, source, claimed_ns, at_ns, data"
        store.insert("claims", columns, [(*row, 3, 0, data) for row in rows])
        columns = "session, process, claim, source, claimed_ns, measured_ns"
        store.insert("reconciliation", columns, [(*row[:3], "torch", 3, 2) for row in rows])
        columns = "session, process, claim, cause, ns, intervals"
        store.insert("causes", columns, [(*row[:3], "double_counted", 1, "[]") for row in rows])
    store.close()
    return path


@pytest.mark.parametrize("name", ["why", "torch_against_torch"])
def test_the_work_of_a_saved_query_grows_with_the_claims_and_no_faster(name: str, tmp_path: Path) -> None:
    ledgers = [one_session(tmp_path / f"{claims}.db", claims) for claims in (10 * FEW, 10 * MANY)]
    few, many = (steps(ledger, saved_query(name)) for ledger in ledgers)
    assert few > STEPS_AT_ONCE
    assert many <= MAX_GROWTH * few


def test_the_copies_have_what_the_recordings_have(copies: Mapping[int, Path]) -> None:
    events = recordings()["vllm warm"]
    with closing(read_only(copies[FEW])) as connection:
        [(session,)] = connection.execute("SELECT min(session) FROM sessions WHERE label = 'vllm warm'")
        rows = connection.execute(
            "SELECT process LIKE ?, count(*) FROM events WHERE session = ? GROUP BY 1 ORDER BY 1",
            [f"%{SECOND_RANK}", session],
        ).fetchall()
        ranks = connection.execute(
            "SELECT max(ranks) FROM (SELECT count(*) AS ranks FROM role_totals "
            "WHERE activity = 'compile' GROUP BY session, role)"
        ).fetchone()
    assert rows[0] == (0, len(events))
    assert 0 < rows[1][1] < len(events)
    assert ranks == (2,)


# Two ranks


def two_ranks() -> Iterator[Worker]:
    """Two workers that compile for 3 and 5 seconds, and each add that up; the engine says the maximum."""
    for name, seconds in (("Worker_TP0", 3.0), ("Worker_TP1", 5.0)):
        worker = Worker(name)
        worker.compile(seconds, **ENCODER)
        yield worker


def test_each_rank_is_held_against_its_own_monitor() -> None:
    engine = SessionBuilder(process="EngineCore")
    engine.begin()
    text = "init engine (profile, create kv cache, warmup model) took 9 s (compilation: 5 s)"
    engine.claim(10 * S, 5 * S, source="engine", counts="ranks", role="encoder", text=text)
    ledger = MemoryLedger(merged(*two_ranks(), engine))
    rows = ledger.sql(saved_query("who_says_what"))
    assert [(row["process"], row["measured"], row["monitor"], row["engine"]) for row in rows] == [
        ("Worker_TP0", 3.0, 3.0, 5.0),
        ("Worker_TP1", 5.0, 5.0, 5.0),
    ]


def test_the_ranks_are_as_far_apart_as_their_totals() -> None:
    [row] = MemoryLedger(merged(*two_ranks())).sql(saved_query("rank_skew"))
    assert (row["slowest"], row["ranks"], row["slowest_seconds"], row["spread"]) == (
        "Worker_TP1",
        2,
        5.0,
        2.0,
    )
    assert (row["sum_of_maxima"], row["most_of_a_rank"]) == (5.0, 5.0)


def with_keys(session: str, at_s: int, *code_hashes: str) -> list[Event]:
    """A session with a rank for each hash, which is part of the key of what it compiles."""
    events: list[Event] = []
    for rank, code_hash in enumerate(code_hashes):
        builder = SessionBuilder(session, f"rank{rank}")
        builder.begin(wall_ns=at_s * S, label=session)
        interval = builder.start(0, "backend_compile", source="backend", role="encoder", component="Block")
        builder.stop(S, interval)
        data = {"cache_key": {"code_hash": code_hash, "env": "same"}}
        builder.events[-1] = builder.events[-1].model_copy(update={"data": data})
        events += builder.events
    return events


def test_a_cold_start_is_compared_with_the_start_before_and_not_with_another_rank_of_its_own() -> None:
    events = [
        *with_keys("first", 1, "a", "b"),
        *with_keys("equal", 2, "b", "a"),
        *with_keys("other", 3, "a", "c"),
        *with_keys("one rank", 4, "c"),
    ]
    rows = MemoryLedger(events).sql(saved_query("why_cold"))
    assert [(row["before"], row["label"], row["component"], row["part"]) for row in rows] == [
        ("equal", "other", "Block", "code_hash"),
        ("other", "one rank", "Block", "code_hash"),
    ]
