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
from ledger.testing import SessionBuilder
from ledger_birth.environment import FILE_VARIABLE, SESSION_VARIABLE
from ledger_parquet import Lake
from ledger_parquet.exporter import ParquetExporter
from tests.support.golden_ledgers import unpacked
from tests.support.lakes import exported, valid_bytes
from tests.support.paths import DATA
from tests.support.small_ledgers import write_sessions

LEDGER: Final = "startup.db"
LAKE: Final = "lake"
_CODES: Final = (0, 1, 2)
_STAGES: Final = 30
_WRITERS: Final = 2
_SESSION: Final = "20261128-120000-00000000"
_OLD_SCHEMA: Final = 1
_LONG_AGO_NS: Final = 1_600_000_000 * 10**9
_FAR_OFF_NS: Final = 4_000_000_000 * 10**9


class Operation(NamedTuple):
    """A command line, or a recorded program, and its files."""

    name: str
    prepare: Callable[[Path], None]
    """Makes the files in an empty folder."""
    arguments: tuple[str, ...]
    """Of `compile-ledger`, with paths relative to the folder; empty for the recorded program."""
    output: str | None = None
    """A file that is there whole or not at all."""
    lake: str | None = None
    """A folder of Parquet files, in which a session is whole or not at all."""
    ledger: str = LEDGER
    """What it writes into."""


def run(operation: Operation, folder: Path) -> int:
    """Do it in this process, which ends soon: return the exit code of the command."""
    os.chdir(folder)
    sys.argv = ["compile-ledger", *operation.arguments]
    out, err = StringIO(), StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main() if operation.arguments else _record(folder)
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
    if operation.lake is not None:
        found["lake"] = valid_bytes(folder / operation.lake)
    ledger = folder / operation.ledger
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
    if operation.lake is not None:
        yield from _unreadable(folder / operation.lake)
    if not operation.arguments:
        yield from _missing_events(folder)
        return
    if (again := run(operation, folder)) != 0:
        yield f"done again it ended with {again}"
    found = state(operation, folder)
    yield from (f"another {name}" for name in expected if found.get(name) != expected[name])


def _record(folder: Path) -> None:
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


def _unreadable(lake: Path) -> Iterator[str]:
    """Yield the sessions of a lake that can't be read, event by event."""
    exporter = ParquetExporter()
    for session in Lake.open_if_there(str(lake)).sessions():
        events = sum(sum(1 for _ in rows) for _, rows in exporter.events(str(lake), [session.session]))
        if events != session.event_count:
            yield f"{session.session} has {events} events in the lake, and not {session.event_count}"


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


def _ledger_and_journals(folder: Path) -> None:
    """Leave a ledger to merge into, and another one whose journals wait."""
    _collected(folder)
    (folder / LEDGER).rename(folder / "into.db")
    _journals(folder)
    store = Store.open(folder / LEDGER)
    store.close()


def _some_sessions(folder: Path, stages: int = 3) -> None:
    """Leave a ledger of two sessions that ended long ago, and of one that is yet to come."""
    builders: list[SessionBuilder] = []
    for name, wall_ns in (("old-1", _LONG_AGO_NS), ("old-2", _LONG_AGO_NS), ("new", _FAR_OFF_NS)):
        builder = SessionBuilder(name)
        builder.begin(0, wall_ns=wall_ns)
        for number in range(stages):
            interval = builder.start(number * 10, "torch_compile", role="encoder", source="monitor")
            builder.stop(number * 10 + 5, interval)
        builder.end(1_000)
        builders.append(builder)
    write_sessions(folder / LEDGER, *builders)


def _lake(folder: Path) -> None:
    """Leave a lake alone."""
    _some_sessions(folder)
    exported(folder / LEDGER, folder / LAKE)
    (folder / LEDGER).unlink()


def _grown(folder: Path) -> None:
    """Leave a lake, and a ledger that has more of its sessions by now."""
    _some_sessions(folder)
    exported(folder / LEDGER, folder / LAKE)
    _some_sessions(folder, stages=6)


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
    Operation("redact", _projected, ("export", LEDGER, "--redact", "-o", "out.jsonl"), "out.jsonl"),
    Operation("csv", _projected, ("export", LEDGER, "--format", "csv", "-o", "out.zip"), "out.zip"),
    Operation("otlp", _projected, ("export", LEDGER, "--format", "otlp", "-o", "out.json"), "out.json"),
    Operation("parquet", _some_sessions, ("export", LEDGER, "--format", "parquet", "-o", LAKE), lake=LAKE),
    Operation("parquet, grown", _grown, ("export", LEDGER, "--format", "parquet", "-o", LAKE), lake=LAKE),
    Operation("archive", _some_sessions, ("archive", LEDGER, "--older-than", "1d", "-o", LAKE), lake=LAKE),
    Operation("restore", _lake, ("restore", LAKE, "old-1", "-o", LEDGER), lake=LAKE),
    Operation("page", _projected, ("report", LEDGER, "--html", "out.html"), "out.html"),
    Operation("merge", _two_ledgers, ("merge", "one.db", "two.db", "-o", LEDGER)),
    Operation("merge journals", _ledger_and_journals, ("merge", LEDGER, "-o", "into.db"), ledger="into.db"),
    Operation("migrate", _old, ("migrate", LEDGER)),
)
