"""Writes the file of records, as the entry point names it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final

from ledger import Ledger, LedgerError, Timeline
from ledger.adapters import Exporter
from ledger_pytorch_benchmark.records import BenchmarkRecord, Start, records

_SUFFIX: Final = ".json"
"""Of the files in the folder that pytorch/test-infra's action uploads."""


class BenchmarkExporter:
    """Writes starts as records of a benchmark. Those of one label and the same versions are its runs."""

    is_text = True
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the step of a workflow that uploads the folder of the file."""
        hint = "" if written.suffix == _SUFFIX else f" (after renaming it: only *{_SUFFIX} files are read)"
        folder = quote(str(written.absolute().parent))
        return (
            "the action pytorch/test-infra/.github/actions/upload-benchmark-results, "
            f"with benchmark-results-dir: {folder}{hint}"
        )

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield a JSON list, record by record. Raises LedgerError where no session can be measured."""
        # No metric needs an interval: an excerpt without them is read in a tenth of the time.
        starts = [_start(ledger.timeline_excerpt(session, unattributed=0)) for session in sessions]
        found = records([start for start in starts if start is not None])
        if not found:
            raise LedgerError(
                "none of these sessions became ready, or completed: there is nothing to compare; "
                "--all exports all sessions"
            )
        for number, record in enumerate(found):
            yield ("[\n" if number == 0 else ",\n").encode() + _encoded(record)
        yield b"\n]\n"


def exporter() -> Exporter:
    """Return the exporter, for the entry point."""
    return BenchmarkExporter()


def _encoded(record: BenchmarkRecord) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")


def _start(timeline: Timeline) -> Start | None:
    return None if timeline.session is None else Start.of(timeline, timeline.session)
