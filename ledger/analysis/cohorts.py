"""The cohorts of a comparison: which sessions a name stands for, and which of them count.

`diff` and `check` share two rules. A name is FILE, for its newest session, FILE:NAME, or NAME in the current
ledger; FILE is the longest prefix that is a file. A session counts if its times cover a whole start-up: see
`why_left_out`.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ledger.analysis.cache_origins import Origins, origins
from ledger.errors import LedgerError, UnknownSession
from ledger.recording.journal import journal_folder, journals
from ledger.storage.ledger import Ledger
from ledger.storage.ledger_files import SQLITE_HEADER
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import ENGINE_READY, SERVER_READY

_READY: Final = (ENGINE_READY, SERVER_READY)


class LeftOut(NamedTuple):
    """A session that is not compared, and why."""

    session: str
    why: str

    def __str__(self) -> str:
        return f"{self.session} {self.why}"


class Place(NamedTuple):
    """The ledger that a name refers to, and the name within it: None for the newest session."""

    file: Path
    name: str | None


class Side(NamedTuple):
    """The sessions that a name stands for."""

    name: str
    file: Path
    timelines: tuple[Timeline, ...]
    origins: tuple[Origins, ...]
    left_out: tuple[LeftOut, ...]
    unread: int = 0
    """Lines of the files that the sessions were imported from which could not be read."""

    @property
    def sessions(self) -> tuple[str, ...]:
        """The ids of the sessions that are compared, oldest first."""
        return tuple(timeline.session.session for timeline in self.timelines if timeline.session)


def why_left_out(timeline: Timeline, *, may_run: bool = False) -> str | None:
    """Return why a session's times don't cover a whole start-up; None if they do.

    They do if it completed, or if its engine or server became ready, whatever happened later. An imported
    session, whose processes have no host, can't show how they ended, and always counts. With `may_run`,
    running sessions count too.
    """
    if timeline.session is None:
        return "has no events"
    outcome = timeline.session.outcome
    if outcome == "completed" or any(one.name in _READY for one in timeline.milestones):
        return None
    if outcome == "running" and (may_run or all(process.host is None for process in timeline.processes)):
        return None
    how = "failed" if outcome == "failed" else f"is {outcome}"
    return f"{how}, and has not become ready"


def place_of(text: str, ledger: Path) -> Place:
    """Return the place that FILE, FILE:NAME or NAME refers to; a NAME is looked up in `ledger`.

    An imported log's file is a NAME too, as its sessions' label.
    """
    if _is_ledger(ledger) and _is_other_file(Path(text)):
        return Place(ledger, text)
    ends = [len(text), *(at for at in reversed(range(len(text))) if text[at] == ":")]
    for end in filter(None, ends):
        if _is_ledger(Path(text[:end])):
            return Place(Path(text[:end]), text[end + 1 :] or None)
    return Place(ledger, text)


def sessions_of(place: Place, ledger: Ledger) -> list[str]:
    """Return the ids of the sessions at a place, oldest first; `ledger` is that place's, opened.

    Raises UnknownSession.
    """
    if place.name is None:
        return [ledger.session()]
    try:
        return ledger.find_sessions(place.name)
    except UnknownSession as error:
        raise UnknownSession(f"{error}; for another ledger write FILE or FILE:NAME") from None


def sides(a: str, b: str, ledger: Path, *, on_open: Callable[[Ledger], None]) -> tuple[Side, Side]:
    """Read the sessions that two names stand for; a NAME is looked up in `ledger`.

    `on_open` is called with each ledger that is opened.

    Raises LedgerError if a name has no session that can be compared, or if both have one in common.
    """
    places = [place_of(name, ledger) for name in (a, b)]
    for name, place in zip((a, b), places, strict=True):
        if not _is_ledger(place.file):
            raise LedgerError(
                f"{name}: no such file, and no ledger {ledger} to look it up in; name a ledger with -l"
            )
    opened: dict[Path, Ledger] = {}
    try:
        for place in places:
            if place.file not in opened:
                opened[place.file] = Ledger.open(place.file)
                on_open(opened[place.file])
        found = [sessions_of(place, opened[place.file]) for place in places]
        if both := [session for session in found[0] if session in found[1]]:
            raise LedgerError(f"session {both[0]} is on both sides; name two sides without a common session")
        of_a, of_b = (
            side_of(name, opened[place.file], sessions)
            for name, place, sessions in zip((a, b), places, found, strict=True)
        )
        return of_a, of_b
    finally:
        for each in opened.values():
            each.close()


def side_of(name: str, ledger: Ledger, sessions: Sequence[str]) -> Side:
    """Read the sessions that a name stands for. Raises LedgerError if none of them can be compared."""
    timelines: list[Timeline] = []
    left_out: list[LeftOut] = []
    for session in sessions:
        timeline = ledger.timeline(session)
        if why := why_left_out(timeline):
            left_out.append(LeftOut(session, why))
        else:
            timelines.append(timeline)
    if not timelines:
        raise LedgerError(f"{name}: no session that can be compared; {left_out[-1]}")
    compared = [timeline.session.session for timeline in timelines if timeline.session]
    found = tuple(origins(ledger, session) for session in compared)
    return Side(name, ledger.path, tuple(timelines), found, tuple(left_out), _unread(ledger, timelines))


def _unread(ledger: Ledger, timelines: Sequence[Timeline]) -> int:
    """Return how many lines could not be read of the files that sessions were imported from.

    A session is labelled by its file, mostly; of other labels no one knows the file.
    """
    rows = ledger.sql("SELECT file, count(*) AS number FROM rejected_lines GROUP BY file")
    number_in = {Path(str(row["file"])).name: int(str(row["number"])) for row in rows}
    labels = {timeline.session.label for timeline in timelines if timeline.session}
    if labels <= number_in.keys() or not number_in:
        return sum(number_in[str(label)] for label in labels if number_in)
    named = {row["label"] for row in ledger.sql("SELECT DISTINCT label FROM sessions")}
    return sum(number for file, number in number_in.items() if file in labels or file not in named)


def _is_other_file(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(SQLITE_HEADER)) not in (b"", SQLITE_HEADER)
    except OSError:
        return False


def _is_ledger(file: Path) -> bool:
    return os.path.isfile(file) or bool(journals(journal_folder(file)))
