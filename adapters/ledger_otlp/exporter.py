"""Writes or sends a session's spans in batches, as the entry point names it."""

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from ledger import Ledger, MissingExtra
from ledger.adapters import EndpointExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_NEEDED: Final = (
    "opentelemetry.exporter.otlp.json.common.trace_encoder",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
)
_BATCH: Final = 512
"""Spans of a line or request: as many as OpenTelemetry's own batches have."""


class SpansExporter:
    """Writes sessions as OTLP's JSON lines, as the collector's file exporter does, or sends them to one."""

    is_text = True
    can_redact = True

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return what reads the file: a receiver of the collector, named as in its configuration."""
        path = quote(str(written.absolute()))
        return f"the OpenTelemetry collector's otlpjsonfile receiver, with include: [{path}]"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield a line for each batch of spans. Raises LedgerError where a session has no wall clock."""
        from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans

        for batch in _batches(ledger, sessions):
            yield json.dumps(encode_spans(batch).to_dict(), separators=(",", ":")).encode() + b"\n"

    def send(self, ledger: Ledger, sessions: Sequence[str], endpoint: str) -> Iterator[int]:
        """Send the spans, and yield after each batch how many it had.

        Raises LedgerError where the endpoint does not take them, or a session has no wall clock.
        """
        from ledger_otlp.sending import Collector

        collector = Collector(endpoint)
        try:
            for batch in _batches(ledger, sessions):
                collector.send(batch)
                yield len(batch)
        finally:
            collector.close()


def exporter() -> EndpointExporter:
    """Return the exporter, for the entry point. Raises MissingExtra without OpenTelemetry's packages."""
    for module in _NEEDED:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            raise MissingExtra.of("OTLP", error.name, "otlp") from error
    return SpansExporter()


def _batches(ledger: Ledger, sessions: Sequence[str]) -> "Iterator[Sequence[ReadableSpan]]":
    from ledger_otlp.spans import spans

    for session in sessions:
        of_session = spans(ledger, session)
        while batch := list(islice(of_session, _BATCH)):
            yield batch
