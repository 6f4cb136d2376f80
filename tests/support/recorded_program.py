"""What a program of its own has recorded, as plain rows."""

from pathlib import Path
from typing import Any

from ledger import Ledger, SessionStarted


class RecordedProgram:
    """What is in a program's ledger."""

    def __init__(self, path: Path) -> None:
        with Ledger.open(path) as ledger:
            self.intervals: list[dict[str, Any]] = ledger.sql(
                "SELECT i.*, o.stage AS inside FROM intervals i"
                " LEFT JOIN intervals o ON o.process = i.process AND o.interval = i.enclosing"
                " ORDER BY i.start_ns, i.start_seq"
            )
            self.totals = ledger.sql("SELECT * FROM role_totals ORDER BY role")
            self.claims = ledger.sql("SELECT * FROM claims")
            self.milestones = ledger.sql("SELECT * FROM milestones ORDER BY at_ns")
            self.processes = ledger.sql("SELECT * FROM processes")
            self.gaps = ledger.sql("SELECT * FROM gaps")
            self.anomalies = ledger.sql("SELECT * FROM anomalies")
            self.started = [event for event in ledger.events() if isinstance(event, SessionStarted)]
