"""Reads from a ledger what a report is derived from: a timeline, and the facts that only the ledger has."""

from ledger.reports.model import Report
from ledger.reports.sections import Key, LedgerFacts, report_of
from ledger.reports.text import UNATTRIBUTED_SHOWN
from ledger.storage.ledger import Ledger
from ledger.timeline.replay import ClockAlignment


def read_report(ledger: Ledger, session: str) -> Report:
    """Return the report of a session, whose lists of intervals are as long as the terminal shows them.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    session = ledger.session(session)
    return report_of(ledger.timeline_excerpt(session, UNATTRIBUTED_SHOWN), facts_of(ledger, session))


def facts_of(ledger: Ledger, session: str, clocks: ClockAlignment | None = None) -> LedgerFacts:
    """Return what the report of a session says that its timeline does not know."""
    rejected = ledger.sql("SELECT count(*) AS number FROM rejected_lines")[0]["number"]
    return LedgerFacts(tuple(ledger.sessions()), int(str(rejected)), clocks, _errors(ledger, session))


def _errors(ledger: Ledger, session: str) -> dict[Key, str]:
    rows = ledger.sql(
        "SELECT process, interval, error FROM intervals "
        "WHERE session = ? AND outcome = 'failed' AND error IS NOT NULL",
        [session],
    )
    return {(str(row["process"]), int(str(row["interval"]))): str(row["error"]) for row in rows}
