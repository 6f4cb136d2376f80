"""Writes a ledger's sessions into a lake: one new part for each date, nothing for what is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any, Final, NamedTuple

from ledger_parquet.digest import EventsDigest, comparable
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerSession, LedgerTables
from ledger_parquet.manifest import Manifest, PartSession
from ledger_parquet.part_reader import PartReader, by_session, session_batches
from ledger_parquet.part_writer import PartWriter
from ledger_parquet.staging import Staging
from ledger_parquet.tables import EVENTS, table_names

_EVENTS_A_READING: Final = 50_000
"""Read in one transaction; writers of the ledger wait for it."""
_DATE_LENGTH: Final = len("2026-11-28")

Progress = Callable[[int], None]
"""Called with numbers of events."""


class Written(NamedTuple):
    """What an export did."""

    written: int = 0
    """Sessions that were not in the lake, or were there with less."""
    unchanged: int = 0
    """Sessions that were there already, with the same events."""
    events: int = 0
    """Of the sessions that were written."""
    refused: tuple[str, ...] = ()
    """Sessions of which the lake has events that the ledger has not."""


class _Known(NamedTuple):
    """A session that the lake has already."""

    part: Manifest
    there: PartSession


def write_sessions(
    tables: LedgerTables, sessions: Sequence[str], lake: Lake, progress: Progress = lambda _: None
) -> Written:
    """Bring sessions of a ledger into a lake, whole. Raises LedgerError.

    Each date is committed by itself. What a killed call has committed is there, the rest is as it was.
    """
    versions = tables.versions()
    wanted = {each.session: each for each in tables.sessions() if each.session in set(sessions)}
    known = {
        each.session: _Known(part, each)
        for part in lake.parts
        for each in part.sessions
        if each.session in wanted
    }
    done = Written()
    by_date: dict[str | None, list[LedgerSession]] = {}
    for each in wanted.values():
        found = known.get(each.session)
        if found is None:
            date = each.started_at[:_DATE_LENGTH] or None
        elif _is_unchanged(tables, each, found):
            progress(each.event_count)
            done = done._replace(unchanged=done.unchanged + 1)
            continue
        elif not _has_all(tables, lake, each.session, found):
            done = done._replace(refused=(*done.refused, each.session))
            continue
        else:
            # It stays on the date on which it is, whatever is known of its start by now.
            date = found.part.date
        by_date.setdefault(date, []).append(each)
    with Staging(lake.filesystem, lake.root) as staging:
        for date, new in sorted(by_date.items(), key=lambda item: item[0] or ""):
            replaced = {found.part.part: found.part for each in new if (found := known.get(each.session))}
            events = _write_part(staging, tables, lake, date, versions, new, replaced, progress)
            done = done._replace(written=done.written + len(new), events=done.events + events)
    return done


def drop_duplicates(lake: Lake, versions: Mapping[str, int]) -> None:
    """Leave each session in one part: two exports at once may have put it into two. Raises LedgerError.

    Whoever does this at the same time makes the same parts.
    """
    losing: dict[str, set[str]] = {}
    for session, parts in lake.duplicates().items():
        *others, _ = sorted(parts, key=lambda part: _rank(part, session))
        for part in others:
            losing.setdefault(part.part, set()).add(session)
    if not losing:
        return
    with Staging(lake.filesystem, lake.root) as staging:
        for part in lake.parts:
            if part.part in losing:
                _write_without(staging, lake, part, versions, losing[part.part])


def _rank(part: Manifest, session: str) -> tuple[int, str, str]:
    [there] = [each for each in part.sessions if each.session == session]
    return there.event_count, there.digest, part.part


def _write_without(
    staging: Staging, lake: Lake, part: Manifest, versions: Mapping[str, int], dropped: set[str]
) -> None:
    writer = PartWriter(staging, part.date, versions, [part.part, *part.replaces])
    try:
        with closing(PartReader(lake, part)) as reader:
            for each in part.sessions:
                if each.session not in dropped:
                    reader.take(each.session, writer.add)
                    writer.add_session(each)
    except BaseException:
        writer.abandon()
        raise
    writer.commit()


def _is_unchanged(tables: LedgerTables, session: LedgerSession, known: _Known) -> bool:
    if known.there.reducer_version < session.reducer_version:
        return False  # derived anew
    if known.there.event_count != session.event_count:
        return False
    digest = EventsDigest()
    with tables.at_one_moment([session.session]):
        for batch in tables.batches(EVENTS):
            digest.add(comparable(batch))
    return digest.hexdigest() == known.there.digest


def _has_all(tables: LedgerTables, lake: Lake, session: str, known: _Known) -> bool:
    """Tell whether a ledger has every event of a session that the lake has."""
    with tables.at_one_moment([session]):
        here = _event_rows(tables.batches(EVENTS))
        there = _event_rows(session_batches(lake, known.part, EVENTS, session))
        for row in there:
            key = row[:2]
            mine = next((one for one in here if one[:2] >= key), None)
            if mine != row:
                return False
    return True


def _event_rows(batches: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield events as tuples that begin with process and seq, without what a ledger has derived."""
    for batch in batches:
        columns = comparable(batch).to_pydict()
        first = (columns.pop("process"), columns.pop("seq"))
        del columns["id"]
        yield from zip(*first, *columns.values(), strict=True)


def _write_part(
    staging: Staging,
    tables: LedgerTables,
    lake: Lake,
    date: str | None,
    versions: Mapping[str, int],
    new: Sequence[LedgerSession],
    replaced: Mapping[str, Manifest],
    progress: Progress,
) -> int:
    """Write a part with the new sessions, and with the others of the parts that it replaces."""
    names = {each.session for each in new}
    order: list[tuple[str, str, LedgerSession | PartSession]] = [(each.session, "", each) for each in new]
    order += [
        (each.session, part.part, each)
        for part in replaced.values()
        for each in part.sessions
        if each.session not in names
    ]
    order.sort(key=lambda item: item[:2])
    replaces = {name for part in replaced.values() for name in (part.part, *part.replaces)}
    writer = PartWriter(staging, date, versions, list(replaces))
    readers = {name: PartReader(lake, part) for name, part in replaced.items()}
    try:
        for origin, items in groupby(order, key=lambda item: item[1]):
            if origin:
                for session, _, each in items:
                    readers[origin].take(session, writer.add)
                    assert isinstance(each, PartSession)
                    writer.add_session(each)
                continue
            for batch in _readings([each for *_, each in items if isinstance(each, LedgerSession)]):
                _copy(tables, batch, writer)
                progress(sum(each.event_count for each in batch))
    except BaseException:
        writer.abandon()
        raise
    finally:
        for reader in readers.values():
            reader.close()
    written = writer.commit()
    return sum(each.event_count for each in written.sessions if each.session in names)


def _digest(digests: Mapping[str, EventsDigest], batch: Any) -> None:
    for session, rows in by_session(comparable(batch)):
        digests[session].add(rows)


def _readings(sessions: Sequence[LedgerSession]) -> Iterator[list[LedgerSession]]:
    """Yield sessions in groups that are small enough to be read at one moment; a large one is alone."""
    group: list[LedgerSession] = []
    events = 0
    for each in sessions:
        if group and events + each.event_count > _EVENTS_A_READING:
            yield group
            group, events = [], 0
        group.append(each)
        events += each.event_count
    if group:
        yield group


def _copy(tables: LedgerTables, sessions: Sequence[LedgerSession], writer: PartWriter) -> None:
    """Copy all rows of some sessions."""
    digests = {each.session: EventsDigest() for each in sessions}
    with tables.at_one_moment(list(digests)):
        for table in table_names():
            for batch in tables.batches(table):
                writer.add(table, batch)
                if table == EVENTS:
                    writer.do(_digest, digests, batch)
    for each in sessions:
        writer.do(_note, writer, each, digests[each.session])


def _note(writer: PartWriter, session: LedgerSession, digest: EventsDigest) -> None:
    writer.add_session(
        PartSession(
            session=session.session,
            event_count=digest.event_count,
            digest=digest.hexdigest(),
            reducer_version=session.reducer_version,
        )
    )
