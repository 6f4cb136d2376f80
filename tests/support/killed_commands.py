"""Runs commands that kill themselves at one of their calls, each in a fork of a process that imported all.

python -m tests.support.killed_commands    reads requests from standard input, and answers; see `Killer`
"""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

NEVER: Final = -1
_IMPORTED: Final = (
    *("adbc_driver_sqlite", "pyarrow.compute", "pyarrow.parquet", "ledger_parquet.exporter"),
    *(f"ledger.cli.{name}" for name in ("archive", "export", "merge", "restore")),
)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    """Its exit code; less than 0 where a signal killed it."""
    calls: int
    """How many calls it made, where they were counted: of Python's functions and of C's, SQLite's too."""
    errors: str
    """What it wrote to standard error."""


class Killer:
    """Runs commands, one at a time, and kills them."""

    def __init__(self, settings: Mapping[str, int] | None = None) -> None:
        """Start the process that forks. `settings` are numbers to set, by module and name."""
        self._process: Final = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ask(dict(settings or {}))

    def run(self, folder: Path, arguments: Sequence[str], kill_at: int | None = None) -> Ended:
        """Run a command in a folder; it kills itself at its nth call. Without one, calls are not counted."""
        found = self._ask({"folder": str(folder), "arguments": [*arguments], "kill_at": kill_at})
        ended = Ended(*found)
        assert "Traceback" not in ended.errors, ended.errors
        return ended

    def close(self) -> None:
        """End the process that forks."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, request: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def main() -> None:
    """Fork for each request, and answer how it ended."""
    for name in _IMPORTED:
        import_module(name)
    from ledger.cli import main as command

    for name, value in json.loads(sys.stdin.readline()).items():
        module, _, attribute = name.rpartition(".")
        assert hasattr(sys.modules[module], attribute), name
        setattr(sys.modules[module], attribute, value)
    print("true", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        errors, calls = folder / "errors", folder / "calls"
        calls.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            _run(command, request, errors, calls)
        _, status = os.waitpid(child, 0)
        made = int(calls.read_text()) if calls.exists() else request["kill_at"] or 0
        print(json.dumps([os.waitstatus_to_exitcode(status), made, errors.read_text()]), flush=True)


def _run(command: Any, request: Mapping[str, Any], errors: Path, counted: Path) -> None:
    """Run a command in this process, which ends with it."""
    calls = 0
    kill_at = request["kill_at"]

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.chdir(request["folder"])
    with errors.open("wb") as written:
        os.dup2(written.fileno(), 2)
        os.dup2(written.fileno(), 1)
    sys.argv = ["compile-ledger", *request["arguments"]]
    code = 1
    try:
        if kill_at is not None:
            sys.setprofile(count)
            threading.setprofile(count)
        try:
            command()
            code = 0
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # pyright: ignore[reportArgumentType]
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    counted.write_text(str(calls))
    os._exit(code)


if __name__ == "__main__":
    main()
