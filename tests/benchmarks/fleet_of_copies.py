"""Makes large fleets quickly: some starts are derived once, and each session is a copy of one of them.

A session has the events and the projections of its start, under an id, a host, a day, a label and versions
of its own: what these change is changed in both, so that its projections are those that a rebuild gives.
Deriving takes three quarters of the time that a fleet takes otherwise.
"""

import json
import random
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from ledger.events.rows import EventRow
from ledger.storage.checkpoint_rows import StoredProcess, keep_process, kept_processes
from ledger.storage.projections import bring_up_to_date
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from tests.benchmarks import fleet_of_sessions as fleet

_AT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_NS: Final = 1_000_000_000
"""Sessions begin at whole seconds: so the texts of their times can be moved exactly."""
_OWN: Final = ("sessions", "processes", "projected_intervals")
"""The tables whose rows change with the session, or must be found again."""
_COLUMNS: Final = ", ".join(EventRow._fields)
_EVENTS: Final = f"""
    INSERT INTO main.events ({_COLUMNS})
    SELECT :session, {", ".join(EventRow._fields[1:-2])},
        CASE kind
            WHEN 'session_started' THEN json_patch(body, :started)
            WHEN 'process_joined' THEN json_patch(body, :joined)
            ELSE body
        END,
        wall_ns + :later_ns
    FROM starts.events WHERE session = :start ORDER BY id
"""


class _Start(NamedTuple):
    """What tells a start from others."""

    template: str
    is_slow: bool
    number: int

    @property
    def name(self) -> str:
        return f"{self.template} {'slow' if self.is_slow else 'quick'} {self.number}"


def write_starts(path: Path, per_template: int, numbers: Iterable[int], seed: int) -> None:
    """Write a ledger of the starts that some sessions are copies of, with its projections."""
    starts = sorted({_drawn(number, 1, per_template, seed)[0] for number in numbers})
    with fleet.unsafe_ledger(path) as store:
        for start in starts:
            chance = random.Random(f"{seed}/{start}")
            stretch = chance.lognormvariate(0, 0.25) * (fleet.SLOWER if start.is_slow else 1.0)
            real = fleet.template(start.template)
            warp = fleet.TimeWarp(real, chance, stretch)
            facts = fleet.Session(start.name, "", "", "", {}, fleet.FIRST_DAY_NS)
            with store.transaction():
                store.append(sorted(fleet.rows_of(real, warp, facts), key=lambda row: row.at_ns))
        bring_up_to_date(store)


def write_copies(
    starts: Path, per_template: int, path: Path, numbers: Sequence[int], hosts: int, seed: int
) -> int:
    """Write the ledger of a host out of a ledger of starts; return how many events it has."""
    written = 0
    with fleet.unsafe_ledger(path) as store, closing(Store.open_to_read(starts)) as of_starts:
        store.connection.execute("ATTACH ? AS starts", [f"{starts.absolute().as_uri()}?mode=ro"])
        for number in numbers:
            start, facts = _drawn(number, hosts, per_template, seed)
            with store.transaction():
                written += _copy(store, of_starts, start.name, facts)
        store.connection.execute("DETACH starts")
    return written


def _drawn(number: int, hosts: int, per_template: int, seed: int) -> tuple[_Start, fleet.Session]:
    chance = random.Random(f"{seed}/{number}")
    real, release, facts = fleet.drawn_session(number, hosts, chance)
    return _Start(real.name, release >= fleet.SLOWER_SINCE, chance.randrange(per_template)), facts


def _copy(store: Store, of_starts: Store, start: str, facts: fleet.Session) -> int:
    later_ns = facts.wall_ns - fleet.FIRST_DAY_NS
    values = {
        "start": start,
        "session": facts.session,
        "later_ns": later_ns,
        "started": json.dumps({"label": facts.label, "versions": facts.versions}),
        "joined": json.dumps({"host": facts.host, "boot_id": facts.boot_id}),
    }
    run = store.connection.execute
    copied = run(_EVENTS, values).rowcount
    run(
        """
        INSERT INTO projected_sessions
        SELECT session, max(id), count(*), (SELECT reducer_version FROM starts.versions)
        FROM main.events WHERE session = ? GROUP BY session
        """,
        [facts.session],
    )
    for table, columns in TABLES.items():
        if table not in _OWN:
            run(
                f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT ?, {', '.join(columns[1:])} "
                f"FROM starts.{table} WHERE session = ? ORDER BY rowid",
                [facts.session, start],
            )
    for table in ("sessions", "processes"):
        rows = store.select(
            f"SELECT {', '.join(TABLES[table])} FROM starts.{table} WHERE session = ?", [start]
        )
        store.insert(table, ", ".join(TABLES[table]), (_own_row(table, row, facts, later_ns) for row in rows))
    _copy_intervals(store, of_starts, start, facts.session)
    return copied


def _own_row(table: str, row: tuple[object, ...], facts: fleet.Session, later_ns: int) -> tuple[object, ...]:
    fields = dict(zip(TABLES[table], row, strict=True)) | {"session": facts.session}
    for name in ("started_at", "ended_at"):
        if (at := fields.get(name)) is not None:
            moved = datetime.strptime(str(at), _AT) + timedelta(seconds=later_ns // _NS)
            fields[name] = moved.strftime(_AT)
    if table == "processes" and fields["host"] is not None:
        fields["host"] = facts.host
    if table == "sessions" and fields["label"] is not None:
        versions = json.loads(str(fields["versions"])) | facts.versions
        fields |= {"label": facts.label, "versions": json.dumps(dict(sorted(versions.items())))}
    return tuple(fields.values())


def _copy_intervals(store: Store, of_starts: Store, start: str, session: str) -> None:
    """Copy the intervals, and where the reducing can go on among them."""
    run = store.connection.execute
    columns = ", ".join(TABLES["projected_intervals"][1:])
    [(by,)] = store.select(
        """
        SELECT (SELECT coalesce(max(rowid), 0) + 1 FROM main.projected_intervals)
            - (SELECT coalesce(min(rowid), 0) FROM starts.projected_intervals WHERE session = ?)
        """,
        [start],
    )
    moved_by = int(str(by))
    run(
        f"INSERT INTO main.projected_intervals (rowid, session, {columns}) SELECT rowid + ?, ?, {columns} "
        "FROM starts.projected_intervals WHERE session = ? ORDER BY rowid",
        [moved_by, session, start],
    )
    run(
        "INSERT INTO checkpoint_sessions SELECT ?, state FROM starts.checkpoint_sessions WHERE session = ?",
        [session, start],
    )
    run(
        "INSERT INTO checkpoint_moments SELECT ?, at_ns, unions FROM starts.checkpoint_moments "
        "WHERE session = ?",
        [session, start],
    )
    run(
        "INSERT INTO checkpoint_cuts SELECT ?, process, at_ns, first_row + ?, state "
        "FROM starts.checkpoint_cuts WHERE session = ?",
        [session, moved_by, start],
    )
    for process, kept in kept_processes(of_starts, start).items():
        checkpoint = kept.checkpoint._replace(
            unstopped=[one._replace(place=one.place + moved_by) for one in kept.checkpoint.unstopped]
        )
        keep_process(store, session, process, StoredProcess(checkpoint, kept.ending))
