"""Names the files of a lake, and opens the file system that it is on.

    OUT/<table>/date=2026-11-28/<part>.parquet    one file a table, date and export; the date is the session's
                                                  first, in UTC
    OUT/_parts/<part>.json                        the commit: see `manifest`

A part is written whole, counts from the moment that its manifest is there, and is removed once the manifest
of another says that it replaces it. Nothing in a file is ever changed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from ledger import LedgerError, MissingExtra

PARTS: Final = "_parts"
"""Readers of Parquet folders pass over names that begin with an underscore."""
MANIFEST_SUFFIX: Final = ".json"
DATA_SUFFIX: Final = ".parquet"
NO_DATE: Final = "__HIVE_DEFAULT_PARTITION__"
"""Stands for no date, as Hive has it: of sessions whose wall clock is not known."""
EXTRA: Final = "parquet"


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL or path, and the path there.

    Raises MissingExtra, or LedgerError where fsspec knows no such URL.
    """
    fsspec = imported("fsspec")
    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise LedgerError(f"{url}: {error}".splitlines()[0]) from error
    except ValueError as error:
        raise LedgerError(f"{url}: no place that fsspec can open: {error}".splitlines()[0]) from error
    return system, str(path).rstrip("/") or "/"


def imported(module: str) -> Any:
    """Return a module of the extra. Raises MissingExtra."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra.of("Parquet", error.name, EXTRA) from error


def is_local(system: Any) -> bool:
    """Tell whether a file system is this machine's own."""
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def data_path(table: str, date: str | None, part: str) -> str:
    """Return where a part's rows of a table are, below the lake."""
    return f"{table}/date={date or NO_DATE}/{part}{DATA_SUFFIX}"


def manifest_path(part: str) -> str:
    """Return where a part's manifest is, below the lake."""
    return f"{PARTS}/{part}{MANIFEST_SUFFIX}"
