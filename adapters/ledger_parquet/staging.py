"""Brings files into a lake: each appears whole, under its name, or not at all.

On this machine they are written into the lake's own folder, `_staging`, and renamed. To a store elsewhere
they are sent from a temporary folder, which such stores do as a whole.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ledger_parquet.lake_files import is_local, manifest_path
from ledger_parquet.manifest import Manifest

STAGING: Final = "_staging"
_LOCK: Final = "lock"


class Staging:
    """A folder of this machine for the files of one export; it is gone afterwards."""

    def __init__(self, system: Any, root: str) -> None:
        self._system: Final = system
        self._root: Final = root
        self._is_local: Final = is_local(system)
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        if self._is_local:
            made = Path(root) / STAGING / f".{name}"
            made.mkdir(parents=True)
        else:
            made = Path(tempfile.mkdtemp(prefix="compile-ledger-"))
        self._lock: Final = (made / _LOCK).open("wb")
        # By this others see that it is in use; they look for the name without the dot.
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder: Final = made.rename(made.with_name(name)) if self._is_local else made

    def publish(self, file: Path, name: str) -> None:
        """Move a file to a place below the lake; what is there already is the same, or was never whole."""
        target = f"{self._root}/{name}"
        if not self._is_local:
            self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._system.put_file(str(file), target)
            file.unlink()
            return
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
        final = Path(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        file.replace(final)
        _sync_folder(final.parent)

    def commit(self, manifest: Manifest) -> None:
        """Write a manifest, after all files of its part."""
        file = self.folder / f"{manifest.part}.json"
        file.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        self.publish(file, manifest_path(manifest.part))

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_abandoned(root: str) -> None:
    """Remove the staging folders of a local lake that exports of this host left when they were killed."""
    for folder in (Path(root) / STAGING).glob(f"{socket.gethostname()}-*"):
        try:
            with (folder / _LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, just being made, or removed by another


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
