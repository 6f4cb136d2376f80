"""Derives what all processes of a session and its claims give together, once its intervals are projected."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from ledger.events.models import Event, SessionEnded
from ledger.storage.details import details_of
from ledger.storage.extending_process import INTERVAL_COLUMNS, NotSeparate
from ledger.storage.extending_startup import PIECE_COLUMNS
from ledger.storage.record_rows import TABLES, Details, EventKey, interval_of, rows_of
from ledger.storage.store import Store
from ledger.timeline.compilations import Compilations
from ledger.timeline.process_events import ProcessEvents
from ledger.timeline.process_lives import Lives
from ledger.timeline.records import (
    Anomaly,
    Interval,
    RoleTotal,
    SourceTotal,
    StartupPiece,
    StartupWindow,
)
from ledger.timeline.reducer import Reduced, put_together
from ledger.timeline.timeline import Timeline, assembled, completed
from ledger.timeline.totals import Group
from ledger.timeline.unaffected import Dependencies, dependencies_of
from ledger.vocabulary import IMPORT

_KEPT_TABLES: Final = ("projected_intervals", "startup_breakdown")
_OF_CLAIMS_AND_FINDINGS: Final = (
    "claims", "reconciliation", "causes", "compilations", "graph_breaks", "projected_findings",
)  # fmt: skip
_VISIBLE: Final = "(is_top_level = 1 OR source <> 'torch')"
"""What `look_at_visible_alone` says, as SQL."""
_Record = TypeVar("_Record", RoleTotal, SourceTotal, Anomaly)


class SessionParts(NamedTuple):
    """What a session's rows are derived from, besides those of its intervals and its pieces."""

    others: Sequence[Event]
    """What is no start or stop."""
    processes: Mapping[str, ProcessEvents]
    of_roles: Mapping[str, Sequence[RoleTotal]]
    """By process, as the next two."""
    of_sources: Mapping[str, Sequence[SourceTotal]]
    anomalies: Mapping[str, Sequence[Anomaly]]
    unions: Mapping[Group, int]
    windows: Sequence[StartupWindow]
    is_plain: bool
    """Whether its intervals are of no interest to more than the totals and the breakdown."""


def complete(store: Store, session: str, parts: SessionParts) -> Dependencies:
    """Project all tables of a session but those of its intervals and pieces, which are there.

    Return on what the rows depend. Raises NotSeparate where a number of the session is beyond 64 bits.
    """
    timeline = _timeline(store, session, parts)
    _write(store, session, timeline, _KEPT_TABLES)
    return dependencies_of(timeline)


def complete_totals(store: Store, session: str, reduced: Reduced, of_claims: Sequence[Anomaly]) -> None:
    """Project the same, where what is derived of claims and compiles, and all findings, are there as well.

    `of_claims` are the anomalies of claims.
    """
    from ledger.timeline.reconciliation import Reconciled

    timeline = assembled(reduced, Reconciled((), (), tuple(of_claims)), Compilations((), ()), ())
    _write(store, session, timeline, (*_KEPT_TABLES, *_OF_CLAIMS_AND_FINDINGS))


def _write(store: Store, session: str, timeline: Timeline, kept: Collection[str]) -> None:
    if is_beyond_range(timeline.anomalies):
        raise NotSeparate
    for table, columns in TABLES.items():
        if table not in kept:
            store.connection.execute(f"DELETE FROM {table} WHERE session = ?", [session])
            store.insert(table, ", ".join(columns), rows_of(timeline, table))


def reduced_of(
    session: str,
    parts: SessionParts,
    intervals: Iterable[Interval] = (),
    pieces: Iterable[StartupPiece] = (),
) -> Reduced:
    """Return what a session reduces to, of its parts: without intervals and pieces where none are given."""
    return put_together(
        session, parts.others, parts.processes, intervals, _by_process(parts.of_roles),
        _by_process(parts.of_sources), parts.unions, _by_process(parts.anomalies), parts.windows, pieces,
    )  # fmt: skip


def _timeline(store: Store, session: str, parts: SessionParts) -> Timeline:
    """Return a session's timeline: without intervals and pieces where nothing but these tables needs them."""
    from ledger.timeline.findings.evidence import Evidence
    from ledger.timeline.findings.rules import looks_at_all, looks_at_all_pieces
    from ledger.timeline.reconciliation import Reconciled
    from ledger.timeline.reconciliation.evidence import look_at_visible_alone

    plain = reduced_of(session, parts)
    nothing = Evidence(plain, Reconciled((), (), ()), Compilations((), ()))
    if parts.is_plain and not looks_at_all(nothing):
        if not plain.claims:
            return completed(plain)
        if look_at_visible_alone(plain.claims):
            return completed(reduced_of(session, parts, _intervals(store, session, {}, _VISIBLE)))
    pieces = _pieces(store, session, "1" if looks_at_all_pieces(nothing) else f"stage = '{IMPORT}'")
    intervals = _intervals(store, session, details_of(store, session))
    return completed(reduced_of(session, parts, intervals, pieces))


def _by_process(records: Mapping[str, Iterable[_Record]]) -> list[_Record]:
    return [record for process in sorted(records) for record in records[process]]


def _intervals(
    store: Store, session: str, details: Mapping[EventKey, Details], condition: str = "1"
) -> list[Interval]:
    rows = store.select(
        f"SELECT {INTERVAL_COLUMNS} FROM projected_intervals "
        f"WHERE session = ? AND {condition} ORDER BY process, rowid",
        [session],
    )
    return [interval_of(cast("tuple[Any, ...]", row), details) for row in rows]


def _pieces(store: Store, session: str, condition: str) -> list[StartupPiece]:
    rows = store.select(
        f"SELECT {PIECE_COLUMNS} FROM startup_breakdown WHERE session = ? AND {condition} ORDER BY rowid",
        [session],
    )
    return [StartupPiece._make(cast("tuple[Any, ...]", row)) for row in rows]


def is_ended(parts: Mapping[str, ProcessEvents]) -> bool:
    """Tell whether a session of such processes has ended."""
    return any(isinstance(event, SessionEnded) for part in parts.values() for event in part.others)


def is_one_clock(lives: Lives) -> bool:
    """Tell whether all processes have one clock: else a new event may move the times of others."""
    return bool(lives.processes) and not any(lives.offset_ns.values())


def ending_of(part: ProcessEvents, *, is_ended: bool) -> tuple[Any, ...]:
    """Return what decides over a process's open intervals: whether it is over, its last event, its loss."""
    lost = part.seen_alive
    return is_ended or part.is_over, part.last_ns, None if lost is None else tuple(lost)


def is_beyond_range(anomalies: Iterable[Anomaly]) -> bool:
    """Tell whether a number is beyond 64 bits."""
    return any(anomaly.what == "number_out_of_range" for anomaly in anomalies)
