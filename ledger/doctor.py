"""Checks what would be recorded in this environment. Adapters add their own checks."""

import importlib.metadata
import importlib.util
import os
import sqlite3
import sys
from collections.abc import Mapping
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
    checks += launchers(os.environ)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            checks += entry.load()()
        except Exception as error:
            checks.append(DoctorCheck(entry.name, False, f"the adapter's own check failed: {error}"))
    return checks


def launchers(environment: Mapping[str, str]) -> list[DoctorCheck]:
    """Say how recording gets to the other hosts of what seems to start programs on several."""
    return [*_slurm(environment), *_torchrun(environment), *_ray(environment)]


def _slurm(environment: Mapping[str, str]) -> list[DoctorCheck]:
    if (job := environment.get("SLURM_JOB_ID")) is None:
        return []
    exported = environment.get("SLURM_EXPORT_ENV", _EVERYTHING).split(",")
    if FILE_VARIABLE in environment and _EVERYTHING not in exported and FILE_VARIABLE not in exported:
        fault = f"SLURM_EXPORT_ENV keeps {FILE_VARIABLE} from the tasks of srun: srun --export=ALL"
        return [DoctorCheck("slurm", False, fault)]
    step = environment.get("SLURM_STEP_ID", "0")
    return [DoctorCheck("slurm", True, f"several hosts: srun … record --session slurm-{job}.{step} on each")]


def _torchrun(environment: Mapping[str, str]) -> list[DoctorCheck]:
    groups = environment.get("GROUP_WORLD_SIZE", "1")
    if groups in ("", "1"):
        return []
    run_id = environment.get("TORCHELASTIC_RUN_ID", _NO_RUN_ID)
    session = "ID, the same" if run_id == _NO_RUN_ID else run_id
    return [DoctorCheck("torchrun", True, f"{groups} hosts: record --session {session} on each")]


def _ray(environment: Mapping[str, str]) -> list[DoctorCheck]:
    if "RAY_ADDRESS" not in environment and importlib.util.find_spec("ray") is None:
        return []
    return [
        DoctorCheck(
            "ray",
            True,
            f"a running cluster has none of our variables: pass {FILE_VARIABLE} and {SESSION_VARIABLE} "
            "in runtime_env's env_vars",
        )
    ]


_EVERYTHING: Final = "ALL"
_NO_RUN_ID: Final = "none"
"""What torchrun's run id is where nobody gives one: the same for all runs."""
