"""The page of a fleet that a test looks at: the recorded starts, laid over a fortnight of days."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ledger import Ledger
from ledger.cli import app
from tests.support.recorded_lakes import all_recorded, write_lake, write_ledger


def fortnight(folder: Path) -> Path:
    """Write a lake of the recorded starts, of three labels, as if they had happened on fourteen days."""
    numbers: dict[str, int] = {}

    def edit(table: str, row: dict[str, Any]) -> None:
        number = numbers.setdefault(str(row["session"]), len(numbers))
        if table == "sessions":
            row["label"] = ("nightly", "canary", "it's <b>odd</b>")[number % 3]
            row["started_at"] = f"2026-11-{number % 14 + 1:02}T06:00:00Z"

    with Ledger.open(write_ledger(folder / "fleet.db", all_recorded())) as ledger:
        return write_lake(folder / "lake", ledger, edit)


def write_fleet_page(folder: Path) -> Path:
    """Write the page of that lake, and return its file."""
    page = folder / "fleet.html"
    written = CliRunner().invoke(app, ["report", "--fleet", str(fortnight(folder)), "--html", str(page)])
    assert written.exit_code == 0, written.output
    return page
