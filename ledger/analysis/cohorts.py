"""The sides of a comparison: which sessions a name on the command line stands for, and which count."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ledger.analysis.cache_origins import Origins, origins
from ledger.errors import LedgerError, UnknownSession
from ledger.recording.journal import journal_folder, journals
from ledger.storage.ledger import Ledger
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import ENGINE_READY


class LeftOut(NamedTuple):
    """A session that is not compared, and why."""

    session: str
    why: str


class Side(NamedTuple):
    """The sessions that a name stands for."""

    name: str
    file: Path
    timelines: tuple[Timeline, ...]
    origins: tuple[Origins, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def sessions(self) -> tuple[str, ...]:
        """The ids of those that are compared, oldest first."""
        return tuple(timeline.session.session for timeline in self.timelines if timeline.session)


def sides(a: str, b: str, ledger: Path, *, opened_one: Callable[[Ledger], None]) -> tuple[Side, Side]:
    """Read what two names stand for; `ledger` is where what is no file is looked up.

    `opened_one` is called with each ledger that is opened.

    Raises LedgerError where a name stands for nothing that can be compared, or both for the same session.
    """
    places = (_place(a, ledger), _place(b, ledger))
    opened: dict[Path, Ledger] = {}
    try:
        for file, _ in places:
            if file not in opened:
                opened[file] = Ledger.open(file)
                opened_one(opened[file])
        found = [_sessions(opened[file], name) for file, name in places]
        if both := [session for session in found[0] if session in found[1]]:
            raise LedgerError(f"{both[0]} is on both sides; name two that have no session in common")
        read = [
            side_of(name, opened[file], sessions)
            for name, (file, _), sessions in zip((a, b), places, found, strict=True)
        ]
        return read[0], read[1]
    finally:
        for each in opened.values():
            each.close()


def _place(name: str, ledger: Path) -> tuple[Path, str | None]:
    """Return the ledger that a name speaks of, and the name in there: FILE, FILE:NAME, or one in `ledger`."""
    file, colon, inside = name.rpartition(":")
    if _is_there(Path(name)):
        return Path(name), None
    if colon and _is_there(Path(file)):
        return Path(file), inside or None
    if not _is_there(ledger):
        raise LedgerError(f"{name}: no such file, and no ledger {ledger} to look it up in; -l FILE names one")
    return ledger, name


def _is_there(file: Path) -> bool:
    return os.path.isfile(file) or bool(journals(journal_folder(file)))


def _sessions(ledger: Ledger, name: str | None) -> list[str]:
    if name is None:
        return [ledger.session()]
    try:
        return ledger.find_sessions(name)
    except UnknownSession as error:
        raise UnknownSession(f"{error}; FILE or FILE:NAME is one of another ledger") from None


def side_of(name: str, ledger: Ledger, sessions: Sequence[str]) -> Side:
    """Read the sessions that a name stands for. Raises LedgerError where none of them can be compared."""
    timelines: list[Timeline] = []
    left_out: list[LeftOut] = []
    for session in sessions:
        timeline = ledger.timeline(session)
        if why := _why_left_out(timeline):
            left_out.append(LeftOut(session, why))
        else:
            timelines.append(timeline)
    if not timelines:
        session, why = left_out[-1]
        raise LedgerError(f"{name}: no session there that can be compared; {session} {why}")
    compared = [timeline.session.session for timeline in timelines if timeline.session]
    found = tuple(origins(ledger, session) for session in compared)
    return Side(name, ledger.path, tuple(timelines), found, tuple(left_out))


def _why_left_out(timeline: Timeline) -> str | None:
    """Return why a session's times are not those of a whole start-up; None where they are."""
    if timeline.session is None:
        return "has no events"
    outcome = timeline.session.outcome
    if outcome == "completed" or any(milestone.name == ENGINE_READY for milestone in timeline.milestones):
        return None
    # What was imported has no processes of a host that could tell how they ended.
    if outcome == "running" and all(process.host is None for process in timeline.processes):
        return None
    how = "failed" if outcome == "failed" else f"is {outcome}"
    return f"{how}, and has not reached {ENGINE_READY}"
