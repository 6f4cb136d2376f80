"""Checks what would be recorded in this environment. Adapters add their own checks."""

import importlib.metadata
import os
import sqlite3
import sys
from typing import Final, NamedTuple

from ledger._version import __version__
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE

ENTRY_POINTS: Final = "compile_ledger.doctor"
"""Entry point group. An adapter registers a function without arguments that returns DoctorChecks."""


class DoctorCheck(NamedTuple):
    """The result of one check."""

    name: str
    is_good: bool
    found: str


def examine() -> list[DoctorCheck]:
    """Run all checks, including those of the installed adapters. An adapter that raises is a failed check."""
    checks = [
        DoctorCheck("compile-ledger", True, __version__),
        DoctorCheck("python", True, f"{sys.version.split()[0]}, {sys.executable}"),
        DoctorCheck(
            "sqlite", sqlite3.sqlite_version_info >= (3, 37), f"{sqlite3.sqlite_version} (3.37 or newer)"
        ),
        DoctorCheck(
            "process identity",
            os.path.exists("/proc/self/stat"),
            "read from /proc, to tell whether a process is gone",
        ),
    ]
    checks += [
        DoctorCheck(name, True, os.environ.get(name) or "not set")
        for name in (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE)
    ]
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            checks += entry.load()()
        except Exception as error:
            checks.append(DoctorCheck(entry.name, False, f"the adapter's own check failed: {error}"))
    return checks
