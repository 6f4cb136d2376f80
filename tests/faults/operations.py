"""What is done under a fault, and what must hold afterwards.

Each operation works on a copy of a folder that was prepared once. Whatever befell it, to do it once more must
give what it gives undisturbed.
"""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final, NamedTuple

from ledger import Ledger, Recorder
from ledger.cli import main
from ledger.recording.journal import journal_folder, journals
from ledger.storage.collector import collect
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from ledger_birth.environment import FILE_VARIABLE, SESSION_VARIABLE
from tests.support.golden_ledgers import unpacked
from tests.support.paths import DATA

LEDGER: Final = "startup.db"
_CODES: Final = (0, 1, 2)
_STAGES: Final = 30
_WRITERS: Final = 2
_SESSION: Final = "20261128-120000-00000000"
_OLD_SCHEMA: Final = 1


class Operation(NamedTuple):
    """A command line, or a recorded program, and its files."""

    name: str
    prepare: Callable[[Path], None]
    """Makes the files in an empty folder."""
    arguments: tuple[str, ...]
    """Of `compile-ledger`, with paths relative to the folder; empty for the recorded program."""
    output: str | None = None
    """A file that is there whole or not at all."""


def run(operation: Operation, folder: Path) -> int:
    """Do it in this process, which ends soon: return the exit code of the command."""
    os.chdir(folder)
    if not operation.arguments:
        return _record(folder)
    sys.argv = ["compile-ledger", *operation.arguments]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    if "Traceback" in err.getvalue():
        raise AssertionError(err.getvalue())
    return code if isinstance(code, int) else 0


def state(operation: Operation, folder: Path) -> dict[str, object]:
    """Return what an operation leaves that must be the same each time."""
    found: dict[str, object] = {}
    if operation.output is not None:
        output = folder / operation.output
        found["output"] = output.read_bytes() if output.exists() else None
    ledger = folder / LEDGER
    if operation.arguments and ledger.exists():
        with closing(sqlite3.connect(ledger)) as connection:
            found["events"] = sorted(
                connection.execute(
                    "SELECT session, process, seq, kind, at_ns, interval, data, body FROM events"
                ),
                key=repr,
            )
            for table in TABLES:
                found[table] = sorted(connection.execute(f"SELECT * FROM {table}"), key=repr)
        found["journals"] = len(journals(journal_folder(ledger)))
    return found


def violations(operation: Operation, folder: Path, expected: dict[str, object], code: int) -> Iterator[str]:
    """Yield what does not hold after an operation ended with a code, a negative one for a signal."""
    if code >= 0 and code not in _CODES:
        yield f"exit code {code}"
    if operation.output is not None:
        output = folder / operation.output
        if output.exists():
            if output.read_bytes() != expected["output"]:
                yield "an unfinished output file"
            output.unlink()  # it is never written over
    if not operation.arguments:
        yield from _missing_events(folder)
        return
    if (again := run(operation, folder)) != 0:
        yield f"done again it ended with {again}"
    found = state(operation, folder)
    yield from (f"another {name}" for name in expected if found.get(name) != expected[name])


def _record(folder: Path) -> int:
    """Record, and write down after each call that it has returned: what must be there afterwards."""
    acknowledged = os.open(
        folder.parent / f"{folder.name}.acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND
    )
    recorder = Recorder.open(folder / LEDGER)
    for number in range(_STAGES):
        with recorder.stage(f"stage_{number}", source="user"):
            recorder.milestone(f"milestone_{number}")
            os.write(acknowledged, b"m%d\n" % number)
    recorder.close()
    return 0


def _acknowledged(folder: Path) -> Path:
    return folder.with_suffix(".acknowledged")


def _missing_events(folder: Path) -> Iterator[str]:
    """Yield what was acknowledged, and is neither in the ledger nor counted as lost."""
    text = _acknowledged(folder).read_text()
    acknowledged = {f"milestone_{line[1:]}" for line in text.split()}
    os.chdir(folder)
    sys.argv = ["compile-ledger", "collect", LEDGER]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        try:
            main()
        except SystemExit:
            if not (folder / LEDGER).exists():
                return  # there was no place to record in from the first event on, and a warning said so
    with closing(Store.open_to_read(folder / LEDGER)) as store:
        names = {str(name) for (name,) in store.select("SELECT name FROM milestones")}
        [(counted,)] = store.select("SELECT coalesce(sum(count), 0) FROM gaps")
        [(holes,)] = store.select("SELECT coalesce(sum(lost_events), 0) FROM processes")
        [(rejected,)] = store.select("SELECT count(*) FROM rejected_lines")
    lost = acknowledged - names
    if len(lost) > int(str(counted)) + int(str(holes)) + int(str(rejected)):
        yield f"acknowledged, and neither there nor counted: {sorted(lost)}"


def _nothing(folder: Path) -> None:
    """Leave the folder empty."""


def _journals(folder: Path) -> None:
    """Leave the journals of two processes that were killed."""
    os.environ.update({FILE_VARIABLE: str(folder / LEDGER), SESSION_VARIABLE: _SESSION})
    for _ in range(_WRITERS):
        if pid := os.fork():
            os.waitpid(pid, 0)
            continue
        recorder = Recorder.from_environment()
        for number in range(_STAGES):
            with recorder.stage(f"stage_{number}", role="encoder", source="user"):
                recorder.claim(1.5, source="user", role="encoder")
        os.kill(os.getpid(), signal.SIGKILL)


def _collected(folder: Path) -> None:
    _journals(folder)
    store = Store.open(folder / LEDGER)
    collect(store, journal_folder(folder / LEDGER))
    store.close()


def _projected(folder: Path) -> None:
    _collected(folder)
    Ledger.open(folder / LEDGER).close()


def _two_ledgers(folder: Path) -> None:
    _collected(folder)
    (folder / LEDGER).rename(folder / "one.db")
    _projected(folder)
    (folder / LEDGER).rename(folder / "two.db")


def _log(folder: Path) -> None:
    shutil.copy(next(iter(sorted((DATA / "logs").glob("*.log")))), folder / "vllm.log")


def _old(folder: Path) -> None:
    unpacked(_OLD_SCHEMA, folder / LEDGER)


OPERATIONS: Final = (
    Operation("record", _nothing, ()),
    Operation("collect", _journals, ("collect", LEDGER)),
    Operation("report", _journals, ("report", LEDGER)),
    Operation("project", _collected, ("report", LEDGER, "--json")),
    Operation("rebuild", _projected, ("rebuild", LEDGER)),
    Operation("verify", _projected, ("verify", LEDGER)),
    Operation("sql", _collected, ("sql", LEDGER, "select count(*) from intervals")),
    Operation("import", _log, ("import", "vllm.log", "-o", LEDGER)),
    Operation("export", _projected, ("export", LEDGER, "--format", "jsonl", "-o", "out.jsonl"), "out.jsonl"),
    Operation("chrome", _projected, ("export", LEDGER, "--format", "chrome", "-o", "out.json"), "out.json"),
    Operation("page", _projected, ("report", LEDGER, "--html", "out.html"), "out.html"),
    Operation("merge", _two_ledgers, ("merge", "one.db", "two.db", "-o", LEDGER)),
    Operation("migrate", _old, ("migrate", LEDGER)),
)
