"""Reads from a ledger what a report is derived from: a timeline, and the facts that only the ledger has."""

from dataclasses import replace
from typing import Any, Final, cast

from ledger.formatting import cut
from ledger.recording.process_identity import runs_here
from ledger.reports.model import Report
from ledger.reports.sections import LedgerFacts, process_namer, report_of
from ledger.reports.startup_tree import stage_tree
from ledger.reports.text import UNATTRIBUTED_SHOWN
from ledger.storage.ledger import Ledger
from ledger.timeline.clocks import ClockAlignment


def read_report(ledger: Ledger, session: str) -> Report:
    """Return the report of a session, whose lists of intervals are as long as the terminal shows them.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    session = ledger.session(session)
    timeline = ledger.timeline_excerpt(session, UNATTRIBUTED_SHOWN)
    facts = facts_of(ledger, session)
    return report_of(timeline, facts._replace(unattributed=_unattributed(ledger, session)))


def read_first_screen(ledger: Ledger, session: str) -> Report:
    """Return as much of the report of a session as its first screen shows: hardly an interval, and no causes.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    session = ledger.session(session)
    timeline, paths = ledger.start_excerpt(session)
    report = report_of(timeline, facts_of(ledger, session))
    tree = stage_tree(paths, process_namer(timeline))
    return replace(report, startup=replace(report.startup, tree=tuple(tree)))


def facts_of(ledger: Ledger, session: str, clocks: ClockAlignment | None = None) -> LedgerFacts:
    """Return what a report of a session says that no timeline has."""
    [(rejected,)] = ledger.select("SELECT count(*) FROM rejected_lines")
    return LedgerFacts(
        tuple(ledger.sessions()),
        int(str(rejected)),
        _first_rejected(ledger) if rejected else (),
        clocks,
        _without_end(ledger, session),
        ledger.findings(session),
    )


_TEXT_SHOWN: Final = 120
_FIRST_REJECTED: Final = "SELECT file, line, reason, text FROM rejected_lines ORDER BY id LIMIT 3"


def _first_rejected(ledger: Ledger) -> tuple[str, ...]:
    return tuple(
        f"{row['file']}, line {row['line']}: {row['reason']}: {cut(str(row['text']), _TEXT_SHOWN)}"
        for row in ledger.sql(_FIRST_REJECTED)
    )


_NEVER_LEFT: Final = """
    SELECT
        p.pid,
        p.host,
        json_extract(e.body, '$.pid_start') AS started,
        json_extract(e.body, '$.boot_id') AS boot,
        json_extract(e.body, '$.pid_namespace') AS pid_ns
    FROM processes p
    JOIN events e ON e.session = p.session AND e.process = p.process AND e.seq <= 1
        AND e.kind = 'process_joined'
    WHERE p.session = ? AND p.outcome = 'running' AND p.host IS NOT NULL
"""


def _without_end(ledger: Ledger, session: str) -> int:
    """Return how many processes never left, were not found gone where they ran, and do not run here."""
    rows = cast("list[tuple[Any, ...]]", ledger.select(_NEVER_LEFT, [session]))
    return sum(
        not runs_here(pid=pid, host=host, started=started, boot=boot, pid_ns=pid_ns)
        for pid, host, started, boot, pid_ns in rows
    )


def _unattributed(ledger: Ledger, session: str) -> int:
    query = "SELECT count(*) FROM intervals WHERE session = ? AND unattributed_ns > 0"
    [(number,)] = ledger.select(query, [session])
    return int(str(number))
