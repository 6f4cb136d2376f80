"""Removes what no part of a lake needs any more: files of killed exports, and parts that others replaced."""

from __future__ import annotations

import time
from typing import Any, Final

from ledger_parquet.lake import all_manifests
from ledger_parquet.lake_files import (
    DATA_SUFFIX,
    data_path,
    is_local,
    manifest_path,
)
from ledger_parquet.manifest import Manifest
from ledger_parquet.staging import remove_abandoned
from ledger_parquet.tables import table_names

REPLACED_FOR_S: Final = 3_600.0
"""Who opened the lake before a part was replaced has so long to read it to the end."""
UNCOMMITTED_FOR_S: Final = 6 * 3_600.0
"""A file that no manifest names belongs to an export that goes on, perhaps on another host, or was killed."""


def remove_leftovers(system: Any, root: str, now_s: float | None = None) -> list[str]:
    """Remove them, and return the paths of the files. Raises LedgerError, OSError."""
    now_s = time.time() if now_s is None else now_s
    if is_local(system):
        remove_abandoned(root)
    manifests = {manifest.part: manifest for manifest in all_manifests(system, root)}
    replaced_by = {name: manifest for manifest in manifests.values() for name in manifest.replaces}
    removed: list[str] = []
    for name, successor in replaced_by.items():
        if name in manifests and _age_s(system, root, manifest_path(successor.part), now_s) > REPLACED_FOR_S:
            # The manifest last: as long as it is there, its files are not taken for those of an export.
            removed += _remove(system, root, [*_files_of(manifests[name]), manifest_path(name)])
            del manifests[name]
    named = {f"{root}/{path}" for manifest in manifests.values() for path in _files_of(manifest)}
    for table in table_names():
        for path in _data_files(system, f"{root}/{table}"):
            if path not in named:
                below = path[len(root) + 1 :]
                if _age_s(system, root, below, now_s) > UNCOMMITTED_FOR_S:
                    removed += _remove(system, root, [below])
    return removed


def _files_of(manifest: Manifest) -> list[str]:
    return [data_path(table, manifest.date, manifest.part) for table in manifest.files]


def _data_files(system: Any, folder: str) -> list[str]:
    try:
        return [path for path in map(str, system.find(folder)) if path.endswith(DATA_SUFFIX)]
    except FileNotFoundError:
        return []


def _remove(system: Any, root: str, paths: list[str]) -> list[str]:
    removed: list[str] = []
    for path in paths:
        try:
            system.rm_file(f"{root}/{path}")
        except FileNotFoundError:
            continue  # another export removes the same
        removed.append(path)
    return removed


def _age_s(system: Any, root: str, path: str, now_s: float) -> float:
    try:
        return now_s - system.modified(f"{root}/{path}").timestamp()
    except FileNotFoundError:
        return 0.0
