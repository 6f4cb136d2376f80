"""A receiver of OTLP over HTTP on loopback, which reads requests with OpenTelemetry's own messages."""

import gzip
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_PATH: Final = "/v1/traces"
_PROTOBUF: Final = "application/x-protobuf"


class Receiver:
    """What was received, and how to answer."""

    def __init__(self) -> None:
        self.requests: Final[list[ExportTraceServiceRequest]] = []
        self.headers: Final[list[dict[str, str]]] = []
        self.refusals: Final[list[int]] = []
        """The status with which each of the next requests is refused."""
        self.rejected = ExportTraceServiceResponse()
        self.address = ""

    def spans(self) -> list[tuple[Resource, Span]]:
        return list(spans_of(self.requests))


def spans_of(requests: list[ExportTraceServiceRequest]) -> Iterator[tuple[Resource, Span]]:
    for request in requests:
        for of_resource in request.resource_spans:
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    yield of_resource.resource, span


@contextmanager
def receiver() -> Generator[Receiver]:
    """Receive on a free port of loopback until the block ends."""
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path != _PATH or self.headers["content-type"] != _PROTOBUF:
                self._answer(404, b"")
                return
            if received.refusals:
                self._answer(received.refusals.pop(0), b"")
                return
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            received.requests.append(ExportTraceServiceRequest.FromString(body))
            received.headers.append(dict(self.headers.items()))
            self._answer(200, received.rejected.SerializeToString())

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", _PROTOBUF)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
