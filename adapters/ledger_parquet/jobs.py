"""The pieces of work of an export, which any process can do that has the ledger open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger_parquet.digest import ComparableEvents, EventsDigest
from ledger_parquet.lake import Lake
from ledger_parquet.ledger_tables import LedgerSession, LedgerTables
from ledger_parquet.manifest import PartSession
from ledger_parquet.part_reader import PartReader, runs_of_sessions
from ledger_parquet.part_writer import PartContents, PartWriter
from ledger_parquet.plans import PartPlan, in_groups
from ledger_parquet.tables import EVENTS, table_names

READING_EVENTS: Final = 50_000
"""Read in one transaction; writers of the ledger wait for it."""

Progress = Callable[[int], None]
"""Called with numbers of events."""


class Context(NamedTuple):
    """What a process has for its jobs."""

    tables: LedgerTables
    lake: Lake
    progress: Progress


class DigestEvents(NamedTuple):
    """Find out what the digests of sessions of the ledger are."""

    sessions: tuple[LedgerSession, ...]

    def run(self, context: Context) -> dict[str, str]:
        """Return them by session. Raises LedgerError."""
        digests: dict[str, str] = {}
        for group in in_groups(self.sessions, READING_EVENTS):
            of_group = {each.session: EventsDigest() for each in group}
            with context.tables.at_one_moment(list(of_group)):
                for batch in context.tables.batches(EVENTS):
                    _digest(of_group, batch)
            digests |= {session: digest.hexdigest() for session, digest in of_group.items()}
        return digests


class CopyPart(NamedTuple):
    """Write the files of a part: of sessions of the ledger, and of others in the part that it replaces."""

    plan: PartPlan
    versions: Mapping[str, int]
    folder: str

    def run(self, context: Context) -> PartContents:
        """Write them. Raises LedgerError, OSError."""
        plan = self.plan
        with (
            closing(PartReader(context.lake, plan.replaced)) if plan.replaced else nullcontext() as reader,
            PartWriter(Path(self.folder), plan.date, self.versions) as writer,
        ):
            for is_new, items in groupby(_in_order(plan), key=lambda each: isinstance(each, LedgerSession)):
                if is_new:
                    _copy_all(context, [each for each in items if isinstance(each, LedgerSession)], writer)
                    continue
                for each in items:
                    assert reader is not None
                    assert isinstance(each, PartSession)
                    reader.take(each.session, writer.add)
                    writer.add_session(each)
        return writer.finish()


Job = DigestEvents | CopyPart


def _in_order(plan: PartPlan) -> list[LedgerSession | PartSession]:
    """Return the sessions from both places, by id."""
    ours = {each.session for each in plan.sessions}
    kept = plan.replaced.sessions if plan.replaced is not None else ()
    return sorted(
        [*plan.sessions, *(each for each in kept if each.session not in ours)], key=lambda each: each.session
    )


def _copy_all(context: Context, sessions: Sequence[LedgerSession], writer: PartWriter) -> None:
    for group in in_groups(sessions, READING_EVENTS):
        _copy(context.tables, group, writer)
        context.progress(sum(each.event_count for each in group))


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


def _digest(digests: Mapping[str, EventsDigest], batch: Any) -> None:
    events = ComparableEvents(batch)
    for session, start, end in runs_of_sessions(batch):
        digests[session].add(events, start, end)


def _note(writer: PartWriter, session: LedgerSession, digest: EventsDigest) -> None:
    writer.add_session(
        PartSession(
            session=session.session,
            event_count=digest.event_count,
            digest=digest.hexdigest(),
            reducer_version=session.reducer_version,
        )
    )
