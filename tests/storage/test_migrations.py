"""Older ledgers become what a new one is: no row is lost, and projections are what they would be rebuilt."""

import sqlite3
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from ledger import reduce
from ledger.events.models import SessionStarted
from ledger.events.rows import to_row
from ledger.storage.projections import current_timeline, rebuild
from ledger.storage.store import SCHEMA_VERSION, Store
from ledger.timeline.reducer import REDUCER_VERSION
from ledger_migrations.migrations import ledger_schema
from tests.support.random_sessions import SECOND, Tape

KEPT = "session, label, command, started_at, ended_at, outcome, process_count, event_count"


def of_schema(version: int) -> sqlite3.Connection:
    """An empty ledger in memory, of an older schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    db = Database(connection, recursive_triggers=False, execute_plugins=False)
    ledger_schema.apply(db, stop_before=f"v{version + 1}")
    return connection


def migrated(connection: sqlite3.Connection) -> Store:
    ledger_schema.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
    store = Store(connection, None, is_writable=True)
    assert store.schema_version == SCHEMA_VERSION
    return store


class TestVersionsOfASession:
    """Schema 4: `versions`, out of which the columns of single versions are generated."""

    @staticmethod
    def projected(started: Sequence[SessionStarted]) -> sqlite3.Connection:
        """A ledger of schema 3 with a session whose row has been projected there, and nothing else."""
        connection = of_schema(3)
        Store(connection, None, is_writable=True).append([to_row(event) for event in started])
        session = reduce(started).session
        assert session is not None
        old = (session.versions.get(name) for name in ("python", "vllm", "torch"))
        row = (*session[:2], None, *session[3:-1], *old)
        connection.execute(f"INSERT INTO sessions VALUES ({', '.join('?' * len(row))})", row)
        connection.execute(
            "INSERT INTO projected_sessions SELECT session, max(id), count(*), ? FROM events",
            [REDUCER_VERSION],
        )
        return connection

    @given(
        st.lists(
            st.builds(
                SessionStarted,
                session=st.just("s"),
                process=st.sampled_from("abc"),
                seq=st.just(0),
                at_ns=st.just(0),
                wall_ns=st.sampled_from([None, 1, 2]),
                versions=st.dictionaries(
                    st.sampled_from(["python", "torch", "vllm", 'o"ther', "überall"]),
                    st.sampled_from(["1", "2.13.0+cpu", "", 'a"\\\n', "\x01", "3.12 ü"]),
                ),
            ),
            min_size=1,
            unique_by=lambda event: event.process,
        )
    )
    def test_they_are_those_that_a_rebuild_gives(self, started: list[SessionStarted]) -> None:
        store = migrated(self.projected(started))
        columns = "python_version, vllm_version, torch_version, versions"
        found = store.select(f"SELECT {columns} FROM sessions")
        timeline = current_timeline(store, "s")
        rebuild(store)
        assert found == store.select(f"SELECT {columns} FROM sessions")
        assert timeline.session is not None
        store.close()
        versions = timeline.session.versions
        assert versions == reduce(started).session.versions  # pyright: ignore[reportOptionalMemberAccess]
        assert found[0][:3] == tuple(versions.get(name) for name in ("python", "vllm", "torch"))

    @pytest.fixture
    def old(self) -> Iterator[sqlite3.Connection]:
        tape = Tape()
        started = tape.add(SessionStarted, 0, label="nightly", wall_ns=SECOND, versions={"vllm": "0.32.0"})
        connection = self.projected([started])
        yield connection
        connection.close()

    def test_the_other_columns_stay_as_they_are(self, old: sqlite3.Connection) -> None:
        before = old.execute(f"SELECT {KEPT} FROM sessions").fetchall()
        assert migrated(old).select(f"SELECT {KEPT} FROM sessions") == before != []

    def test_columns_stay_in_their_places(self, old: sqlite3.Connection) -> None:
        before = old.execute("SELECT * FROM sessions")
        names = [column[0] for column in before.description]
        rows = before.fetchall()
        store = migrated(old)
        after = store.connection.execute("SELECT * FROM sessions")
        assert [column[0] for column in after.description][: len(names)] == names
        assert [row[: len(names)] for row in after] == rows

    def test_a_view_that_somebody_made_still_works(self, old: sqlite3.Connection) -> None:
        old.execute("CREATE VIEW engines AS SELECT label, vllm_version FROM sessions")
        assert migrated(old).select("SELECT * FROM engines") == [("nightly", "0.32.0")]

    def test_a_session_that_is_not_projected_gets_no_row(self) -> None:
        connection = of_schema(3)
        started = Tape().add(SessionStarted, 0, versions={"torch": "2.13.0"})
        Store(connection, None, is_writable=True).append([to_row(started)])
        store = migrated(connection)
        assert store.select("SELECT * FROM sessions") == []
        assert current_timeline(store, "s") == reduce([started])
        store.close()
