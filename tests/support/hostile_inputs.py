"""Files that no command should stumble over: what is no ledger, is damaged, or has hostile texts."""

import os
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ledger.testing import SessionBuilder
from tests.support.small_ledgers import write_sessions

EVIL: Final = "a\x1b]52;c;ZXZpbA==\x07b\x1b]8;;http://evil.example\x1b\\c\x1b[2J\x1b[31md\x9b2Je\u202ef\u2066g\rh\x08i\x7fj[bold]"
"""Orders to a terminal (clipboard, link, clearing, colours), and characters that turn the direction."""


def ledger(path: Path, text: str = "") -> Path:
    """Write a ledger of two sessions; `text` is in all of their names."""
    builders: list[SessionBuilder] = []
    for label in ("before", "after"):
        builder = SessionBuilder(label + text)
        builder.begin(label=label + text, host="host" + text)
        builder.stop(
            3_000_000_000,
            builder.start(
                1, "dynamo" + text, role="encoder" + text, component="Block" + text, source="torch"
            ),
            "failed", "Error" + text,
        )  # fmt: skip
        builder.claim(4_000_000_000, 9_000_000_000, source="monitor", role="encoder" + text)
        builder.start(5_000_000_000, "open" + text, role="language_model" + text)
        builder.end(6_000_000_000)
        builders.append(builder)
    return write_sessions(path, *builders)


def _edited(path: Path, *statements: str) -> None:
    ledger(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA writable_schema = on")
    connection.execute("DROP TRIGGER events_no_update")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def _overwritten(path: Path, at: int, content: bytes) -> None:
    ledger(path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _schema_that_is_no_text(path: Path) -> None:
    ledger(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE events", b"CREATE TABLE ev\xff\xfe\xfds", 1))


def _cut(path: Path) -> None:
    ledger(path)
    os.truncate(path, path.stat().st_size // 2)


def _other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (a)")
    connection.close()


def _loose_types(path: Path) -> None:
    _edited(
        path,
        "UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'events'",
    )
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE events SET at_ns = 'soon', interval = 'one' WHERE kind = 'stage_started'")
    connection.execute("DELETE FROM projected_sessions")
    connection.close()


def _socket(path: Path) -> None:
    # Its address must be short; a link to it leads there as well.
    place = f"/tmp/{os.getpid()}-{abs(hash(path))}.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(place)
    os.rename(place, path)


MAKE: Final[dict[str, Callable[[Path], object]]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("these are notes\n" * 100),
    "one byte": lambda path: path.write_bytes(b"S"),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "another database": _other_database,
    "damaged header": lambda path: _overwritten(path, 0, b"SQLite format 4"),
    "damaged page size": lambda path: _overwritten(path, 16, b"\x00\x03"),
    "damaged pages": lambda path: _overwritten(path, 4096, os.urandom(20_000)),
    "cut": _cut,
    "damaged schema": _schema_that_is_no_text,
    "a table is missing": lambda path: _edited(path, "DROP TABLE events"),
    "a view is missing": lambda path: _edited(path, "DROP VIEW IF EXISTS findings"),
    "newer": lambda path: _edited(path, "PRAGMA user_version = 99"),
    "a newer format of events": lambda path: _edited(path, "UPDATE versions SET event_format = 2"),
    "no versions": lambda path: _edited(path, "DELETE FROM versions"),
    "no stage": lambda path: _edited(
        path, "UPDATE events SET stage = NULL WHERE kind = 'stage_started'", "DELETE FROM projected_sessions"
    ),
    "no interval": lambda path: _edited(
        path, "UPDATE events SET interval = NULL WHERE kind LIKE 'stage_%'", "DELETE FROM projected_sessions"
    ),
    "other types": _loose_types,
    "a body that is no JSON": lambda path: _edited(
        path, "UPDATE events SET body = '{' WHERE body IS NOT NULL", "DELETE FROM projected_sessions"
    ),
    "data that is no JSON": lambda path: _edited(
        path, "UPDATE events SET data = '[' WHERE kind = 'stage_started'", "DELETE FROM projected_sessions"
    ),
    "text that is not UTF-8": lambda path: _edited(
        path, "UPDATE events SET role = CAST(x'ff41' AS TEXT)", "DELETE FROM projected_sessions"
    ),
    "hostile texts": lambda path: ledger(path, EVIL),
    "halves of characters": lambda path: ledger(path, "\\ud800 {0} %s"),
    "good": ledger,
}
"""What each is made by, at the path of a ledger."""

NAMES: Final = {
    "usual": "startup.db",
    "not UTF-8": os.fsdecode(b"st\xff\xfe.db"),
    "with line ends": "a\nb\r\x1b[31m.db",
    "with marks of URIs": "a?mode=memory#%41 [bold].db",
    "too long": "x" * 300 + ".db",
    "like an option": "--help me.db",
}
