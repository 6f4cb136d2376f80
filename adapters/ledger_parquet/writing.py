"""Writes a ledger's sessions into a lake: new parts for each date, nothing for what is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from ledger_parquet.digest import comparable
from ledger_parquet.jobs import Context, CopyPart, DigestEvents, Progress
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerSession, LedgerTables
from ledger_parquet.manifest import Manifest, PartSession
from ledger_parquet.part_reader import PartReader, session_batches
from ledger_parquet.part_writer import PartWriter
from ledger_parquet.plans import EVENTS_A_PART, in_groups, plan_parts
from ledger_parquet.staging import Staging
from ledger_parquet.tables import EVENTS
from ledger_parquet.worker_processes import runner

_DATE_LENGTH: Final = len("2026-11-28")


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
    tables: LedgerTables,
    sessions: Sequence[str],
    lake: Lake,
    progress: Progress = lambda _: None,
    processes: int | None = None,
) -> Written:
    """Bring sessions of a ledger into a lake, whole. Raises LedgerError.

    Each part is committed by itself, in order. What a killed call has committed is there, the rest is as it
    was. `processes` is how many share the work; the files are the same with any number. None means as many as
    pay off.
    """
    versions = tables.versions()
    names = set(sessions)
    wanted = [each for each in tables.sessions() if each.session in names]
    known = {
        each.session: _Known(part, each)
        for part in lake.parts
        for each in part.sessions
        if each.session in names
    }
    context = Context(tables, lake, progress)
    with runner(context, sum(each.event_count for each in wanted), processes) as run:
        digests: dict[str, str] = {}
        unchanged: set[str] = set()
        here_too = [each for each in wanted if _has_as_many(each, known)]
        checks = [DigestEvents(tuple(group)) for group in in_groups(here_too, EVENTS_A_PART)]
        for check, found in zip(checks, run(checks), strict=True):
            digests |= found
            for each in check.sessions:
                there = known[each.session].there
                if found[each.session] == there.digest and there.reducer_version >= each.reducer_version:
                    unchanged.add(each.session)
                    progress(each.event_count)
        refused: list[str] = []
        by_date: dict[str | None, list[LedgerSession]] = {}
        for each in wanted:
            if each.session in unchanged:
                continue
            if (of_lake := known.get(each.session)) is None:
                date = each.started_at[:_DATE_LENGTH] or None
            else:
                # It stays on the date on which it is, whatever is known of its start by now.
                date = of_lake.part.date
                is_same = digests.get(each.session) == of_lake.there.digest
                if not is_same and not _has_all(tables, lake, each.session, of_lake):
                    refused.append(each.session)
                    continue
            by_date.setdefault(date, []).append(each)
        plans = plan_parts(by_date, {session: of_lake.part for session, of_lake in known.items()})
        events = 0
        with Staging(lake.filesystem, lake.root) as staging:
            copies = [CopyPart(plan, versions, str(staging.part_folder())) for plan in plans]
            for plan, contents in zip(plans, run(copies), strict=True):
                part = staging.commit(contents, plan.replaces)
                counts = {each.session: each.event_count for each in part.sessions}
                events += sum(counts[each.session] for each in plan.sessions)
    return Written(sum(len(plan.sessions) for plan in plans), len(unchanged), events, tuple(refused))


def _has_as_many(session: LedgerSession, known: Mapping[str, _Known]) -> bool:
    found = known.get(session.session)
    return found is not None and found.there.event_count == session.event_count


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
    with (
        closing(PartReader(lake, part)) as reader,
        PartWriter(staging.part_folder(), part.date, versions) as writer,
    ):
        for each in part.sessions:
            if each.session not in dropped:
                reader.take(each.session, writer.add)
                writer.add_session(each)
    staging.commit(writer.finish(), [part.part, *part.replaces])


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
