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
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ledger import __version__
from ledger_parquet.lake_files import data_path, is_local, manifest_path
from ledger_parquet.manifest import LAKE_FORMAT, Manifest, part_id
from ledger_parquet.part_writer import PartContents

STAGING: Final = "_staging"
_LOCK: Final = "lock"
_AT_ONCE: Final = 8
"""Files that are brought to the disk, or sent, at once: each waits, and needs no processor."""


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
        self._folders = 0
        self._pool: Final = ThreadPoolExecutor(_AT_ONCE)

    def part_folder(self) -> Path:
        """Make an empty folder for the files of one part."""
        self._folders += 1
        made = self.folder / str(self._folders)
        made.mkdir()
        return made

    def commit(self, contents: PartContents, replaces: Sequence[str] = ()) -> Manifest:
        """Put a part's files where they belong, then its manifest, by which they count."""
        replaces = sorted(replaces)
        manifest = Manifest(
            lake_format=LAKE_FORMAT,
            part=part_id(contents.date, replaces, contents.files),
            date=contents.date,
            written_by=__version__,
            replaces=tuple(replaces),
            sessions=contents.sessions,
            files=contents.files,
            **contents.versions,
        )
        self._publish(
            {contents.path(table): data_path(table, contents.date, manifest.part) for table in contents.files}
        )
        file = Path(contents.folder) / f"{manifest.part}.json"
        file.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        self._publish({file: manifest_path(manifest.part)})
        Path(contents.folder).rmdir()
        return manifest

    def _publish(self, files: Mapping[Path, str]) -> None:
        """Move files to places below the lake; what is there already is the same, or was never whole."""
        if not self._is_local:
            list(self._pool.map(self._send, files, files.values()))
            return
        list(self._pool.map(_sync, files))
        changed: dict[Path, None] = {}
        for file, name in files.items():
            final = Path(self._root) / name
            changed |= dict.fromkeys(_made(final.parent))
            file.replace(final)
        list(self._pool.map(_sync, changed))

    def _send(self, file: Path, name: str) -> None:
        target = f"{self._root}/{name}"
        self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._system.put_file(str(file), target)
        file.unlink()

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
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


def _made(folder: Path) -> list[Path]:
    """Make a folder where there is none, and return those that have another entry by then, it among them."""
    changed = [folder]
    while not changed[-1].exists():
        changed.append(changed[-1].parent)
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
