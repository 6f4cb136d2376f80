"""Reads the sources in a wheel, which is downloaded with pip and thrown away: nothing is installed."""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger_engine.signature_check import Read


class Wheel(NamedTuple):
    """A wheel that lies open."""

    names: Collection[str]
    """Its files."""
    read: Read


class NoWheel(Exception):
    """There is no such wheel, or it can't be had."""


@contextmanager
def wheel(requirement: str, *options: str) -> Iterator[Wheel]:
    """Download a wheel for as long as the body runs. Raises NoWheel."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        ran = subprocess.run(
            [*command, *options, "--dest", folder, requirement], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise NoWheel(f"{requirement} can't be downloaded: {ran.stderr.strip()}")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            names = frozenset(archive.namelist())

            def read(module: str) -> str | None:
                path = module.replace(".", "/")
                for name in (f"{path}.py", f"{path}/__init__.py"):
                    if name in names:
                        return archive.read(name).decode("utf-8")
                return None

            yield Wheel(names, read)


def for_platforms(python: str, platforms: Sequence[str]) -> list[str]:
    """Return pip's options for a wheel of another Python or platform than this one."""
    return ["--python-version", python, *(part for name in platforms for part in ("--platform", name))]
