"""Sends spans to a collector: OTLP over HTTP, by OpenTelemetry's own exporter, which retries by itself."""

import logging
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ledger import LedgerError

_PATH: Final = "/v1/traces"
_LOGGER: Final = logging.getLogger("opentelemetry.exporter.otlp")


class Collector:
    """An endpoint that takes spans.

    The variables OTEL_EXPORTER_OTLP_… say its headers, certificates, timeout and compression.
    """

    def __init__(self, endpoint: str) -> None:
        """Take the endpoint's base address, or that of its traces. Raises LedgerError for an invalid one."""
        parts = urlsplit(endpoint)
        if not parts.hostname:
            raise LedgerError(f"{endpoint}: is no address; write http://HOST:4318")
        path = parts.path.rstrip("/")
        traces = parts._replace(path=path if path.endswith(_PATH) else path + _PATH)
        # A password in it is not shown.
        self._name: Final = urlunsplit(traces._replace(netloc=parts.netloc.rpartition("@")[2]))
        self._rejected: Final[list[str]] = []
        session = requests.Session()
        session.hooks["response"].append(self._look_at)
        try:
            self._exporter: Final = OTLPSpanExporter(urlunsplit(traces), session=session)
        except (ValueError, OSError) as error:
            raise LedgerError(f"{self._name}: {error}; look at the variables OTEL_EXPORTER_OTLP_…") from error

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans. Raises LedgerError where the collector does not take all of them."""
        with _log_messages() as messages:
            result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            # The last one only says that there was no more time, where one before it says what for.
            reason = ": ".join(dict.fromkeys([*messages[-2:-1], *messages[-1:]])) or "no answer"
            raise LedgerError(
                f"{self._name}: spans were not taken: {reason.rstrip('.')}; "
                "send them again: the same spans have the same ids"
            )
        if self._rejected:
            raise LedgerError(f"{self._name}: the collector rejected {self._rejected[0]}")

    def close(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def _look_at(self, response: requests.Response, *_: object, **__: object) -> None:
        """Notice what a collector says of spans that it took and threw away: the exporter does not."""
        if not response.ok or "protobuf" not in response.headers.get("content-type", ""):
            return
        try:
            answer = ExportTraceServiceResponse.FromString(response.content)
        except DecodeError:
            return
        if rejected := answer.partial_success.rejected_spans:
            reason = " ".join(answer.partial_success.error_message.split()) or "without a reason"
            self._rejected.append(f"{rejected:,} spans: {reason}")


class _Messages(logging.Handler):
    """Keeps the messages that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: Final[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(" ".join(record.getMessage().split()))


@contextmanager
def _log_messages() -> Generator[list[str]]:
    """Yield what the exporter logs meanwhile: it returns success or failure alone, the reason is there."""
    kept, propagates = _Messages(), _LOGGER.propagate
    _LOGGER.addHandler(kept)
    _LOGGER.propagate = False
    try:
        yield kept.texts
    finally:
        _LOGGER.propagate = propagates
        _LOGGER.removeHandler(kept)
