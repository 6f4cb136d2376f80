"""Writes the metrics file, as the entry point names it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Final

from ledger import Ledger
from ledger.adapters import Exporter
from ledger_prometheus.metrics import METRICS
from ledger_prometheus.text_format import metric_lines

_SUFFIX: Final = ".prom"
"""Of the files that the textfile collector reads. It passes over all others in silence."""


class MetricsExporter:
    """Writes sessions as metrics. Each sample has its session's id and label."""

    is_text = True
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the command with which node_exporter reads the file."""
        hint = "" if written.suffix == _SUFFIX else f" (after renaming it: only *{_SUFFIX} files are read)"
        return f"node_exporter --collector.textfile.directory={quote(str(written.absolute().parent))}{hint}"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield one metric after the other, each with the samples of all sessions. Raises UnknownSession."""
        # No metric needs an interval: an excerpt without them is read in a tenth of the time.
        timelines = [ledger.timeline_excerpt(session, unattributed=0) for session in sessions]
        for metric in METRICS:
            samples = [sample for timeline in timelines for sample in metric.samples(timeline)]
            yield metric_lines(metric.name, metric.description, samples).encode()


def exporter() -> Exporter:
    """Return the exporter, for the entry point."""
    return MetricsExporter()
