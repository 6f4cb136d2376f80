"""Reads from a ledger what a report is derived from: a timeline, and the facts that only the ledger has."""

from ledger.reports.model import Report
from ledger.reports.sections import Key, LedgerFacts, report_of
from ledger.reports.text import UNATTRIBUTED_SHOWN
from ledger.storage.ledger import Ledger
from ledger.timeline.replay import ClockAlignment
from ledger.timeline.timeline import Timeline


def read_report(ledger: Ledger, session: str) -> Report:
    """Return the report of a session, whose lists of intervals are as long as the terminal shows them.

    Raises UnknownSession, and LedgerError where the ledger can't be read.
    """
    timeline = ledger.timeline_excerpt(ledger.session(session), UNATTRIBUTED_SHOWN)
    return report_of(timeline, facts_of(ledger, timeline))


def facts_of(ledger: Ledger, timeline: Timeline, clocks: ClockAlignment | None = None) -> LedgerFacts:
    """Return what the report of a timeline says that the timeline itself does not have."""
    rejected = ledger.sql("SELECT count(*) AS number FROM rejected_lines")[0]["number"]
    return LedgerFacts(tuple(ledger.sessions()), int(str(rejected)), clocks, _errors(ledger, timeline))


def _errors(ledger: Ledger, timeline: Timeline) -> dict[Key, str]:
    if timeline.session is None or not any(one.outcome == "failed" for one in timeline.intervals):
        return {}
    rows = ledger.sql(
        "SELECT process, interval, error FROM intervals "
        "WHERE session = ? AND outcome = 'failed' AND error IS NOT NULL",
        [timeline.session.session],
    )
    return {(str(row["process"]), int(str(row["interval"]))): str(row["error"]) for row in rows}
