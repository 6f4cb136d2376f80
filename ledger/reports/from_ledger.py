"""Reads from a ledger what a report is derived from: a timeline, and the facts that only the ledger has."""

from ledger.reports.model import Report
from ledger.reports.sections import LedgerFacts, report_of
from ledger.reports.text import UNATTRIBUTED_SHOWN
from ledger.storage.ledger import Ledger
from ledger.timeline.clocks import ClockAlignment


def read_report(ledger: Ledger, session: str) -> Report:
    """Return the report of a session, whose lists of intervals are as long as the terminal shows them.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    session = ledger.session(session)
    timeline = ledger.timeline_excerpt(session, UNATTRIBUTED_SHOWN)
    return report_of(timeline, facts_of(ledger)._replace(unattributed=_unattributed(ledger, session)))


def facts_of(ledger: Ledger, clocks: ClockAlignment | None = None) -> LedgerFacts:
    """Return what a report says that no timeline has."""
    rejected = ledger.sql("SELECT count(*) AS number FROM rejected_lines")[0]["number"]
    return LedgerFacts(tuple(ledger.sessions()), int(str(rejected)), clocks)


def _unattributed(ledger: Ledger, session: str) -> int:
    query = "SELECT count(*) AS number FROM intervals WHERE session = ? AND unattributed_ns > 0"
    return int(str(ledger.sql(query, [session])[0]["number"]))
