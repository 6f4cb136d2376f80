"""ClickHouse's engine behind its HTTP interface: no package has a `clickhouse-server` of these years.

The engine is `chdb`. The interface is as much of ClickHouse's as a client needs that asks, makes temporary
tables and sends Parquet: settings and the text of a query come as parameters, what follows it as the body.
It serves one client, in one session.

    python -m tests.support.clickhouse_over_http    prints its address, and serves until its input ends
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.support.paths import ROOT

_OF_THE_INTERFACE: Final = frozenset(
    {
        *("query", "query_id", "database", "session_id", "session_timeout", "wait_end_of_query"),
        *("client_protocol_version", "enable_http_compression", "compress"),
    }
)
_INSERT: Final = " FORMAT Parquet"


@contextmanager
def clickhouse_server() -> Iterator[str]:
    """Yield the address of a server that runs in a process of its own."""
    command = [sys.executable, "-m", "tests.support.clickhouse_over_http"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    session: Any
    turns: threading.Lock

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer what asks whether anybody is there."""
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        """Run a query."""
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        body = self._body()
        with self.turns:
            status, answer = self._ran(parameters, body)
        self._answer(status, answer)

    def _ran(self, parameters: dict[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            for name in parameters.keys() - _OF_THE_INTERFACE:
                self.session.query(f"SET {name} = '{parameters[name]}'")
            text = parameters.get("query")
            if text is not None:
                self._insert(text, body)
                return 200, b""
            return 200, self.session.query(body.decode(), "TabSeparated").bytes() or b""
        except Exception as error:  # chdb's are of no class of their own
            return 500, str(error).encode()

    def _insert(self, text: str, body: bytes) -> None:
        """Insert Parquet as the server does: by the names of its columns."""
        assert text.endswith(_INSERT), text
        with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
            file.write(body)
            file.flush()
            source = f"file('{file.name}', 'Parquet')"
            described = self.session.query(f"DESCRIBE TABLE {source}", "TabSeparated").bytes().decode()
            names = ", ".join(f'"{line.split(chr(9))[0]}"' for line in described.splitlines())
            into = text.removesuffix(_INSERT)
            self.session.query(f"{into} ({names}) SELECT {names} FROM {source}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        pieces: list[bytes] = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve on a free port of loopback."""
    session: Any = import_module("chdb.session").Session()
    handler = type("Handler", (_Handler,), {"session": session, "turns": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
