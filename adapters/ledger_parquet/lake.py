"""Reads a lake: which files count, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger import LedgerError
from ledger_parquet.lake_files import (
    DATA_SUFFIX,
    MANIFEST_SUFFIX,
    PARTS,
    data_path,
    file_system,
    is_local,
)
from ledger_parquet.manifest import Manifest, read_manifest, valid_parts
from ledger_parquet.tables import arrow_schema, column_types, table_names


class LakeSession(NamedTuple):
    """A session that is in a lake."""

    session: str
    date: str | None
    """The date, in UTC, on which it began: `2026-11-28`. None where that is not known."""
    event_count: int
    digest: str
    """Of its events: equal exactly where all events are."""
    part: str
    """The id of the part that it is in."""


class Lake:
    """The sessions of a lake as they were when it was opened.

    `filesystem` is fsspec's, `root` the lake's path there. An export that goes on meanwhile is not seen; a
    file that one has replaced may be gone by the time it is read: open the lake again then.
    """

    def __init__(self, url: str, filesystem: Any, root: str, parts: Sequence[Manifest]) -> None:
        self.url: Final = url
        self.filesystem: Final = filesystem
        self.root: Final = root
        self.parts: Final = tuple(parts)
        """The manifests of the parts that count, by date and id."""
        self._sizes: dict[str, Mapping[str, int]] = {}

    @classmethod
    def open(cls, url: str) -> Lake:
        """Open the lake at a path, or at a URL of any kind that fsspec knows.

        Raises LedgerError where there is none, where it was written by a newer version, where it is damaged
        and where it has a session twice; and MissingExtra without pyarrow or fsspec.
        """
        lake = cls.open_if_there(url)
        if not lake.parts:
            raise LedgerError(
                f"{url}: there is no lake here; "
                f"`compile-ledger export FILE --format parquet -o {url}` makes one"
            )
        if twice := lake.duplicates():
            raise LedgerError(
                f"{url}: session {next(iter(twice))} is in it twice, since two exports wrote it at once; "
                "wait for them to end, or export any ledger to it again"
            )
        return lake

    @classmethod
    def open_if_there(cls, url: str) -> Lake:
        """Open a lake to write to: it may be empty, or have a session twice. Raises LedgerError."""
        system, root = file_system(url)
        try:
            return cls(url, system, root, valid_parts(all_manifests(system, root)))
        except OSError as error:
            raise LedgerError(f"{url}: can't be read: {error.strerror or error}") from error

    def tables(self) -> tuple[str, ...]:
        """Return the names of the tables. Each has a file in every part, maybe one without rows."""
        return table_names()

    def schema(self, table: str) -> Any:
        """Return the pyarrow.Schema of a table as this version writes it; nothing is missing in a new file.

        A file of an older version may lack columns: they are null there. Raises LedgerError.
        """
        return arrow_schema(table)

    def column_types(self, table: str) -> Mapping[str, str]:
        """Return the Arrow type of each column of a table, by name: int64, double, bool or string.

        They are those of `schema`, without pyarrow, whose import takes longer than many a query. Raises
        LedgerError.
        """
        return column_types(table)

    def files(self, table: str) -> list[str]:
        """Return the Parquet files of a table that count, by date: paths of a local lake, else full URLs.

        Raises LedgerError for an unknown table, and where a file is missing or is not as long as it was.
        """
        column_types(table)  # refuses an unknown one
        return [self._url(self.checked_path(part, table)) for part in self.parts if table in part.files]

    def sessions(self) -> list[LakeSession]:
        """Return the sessions, by date and part."""
        return [
            LakeSession(each.session, part.date, each.event_count, each.digest, part.part)
            for part in self.parts
            for each in part.sessions
        ]

    def duplicates(self) -> dict[str, tuple[Manifest, ...]]:
        """Return the sessions that several parts have, with those parts: two exports at once leave them."""
        having: dict[str, tuple[Manifest, ...]] = {}
        for part in self.parts:
            for each in part.sessions:
                having[each.session] = (*having.get(each.session, ()), part)
        return {session: parts for session, parts in having.items() if len(parts) > 1}

    def checked_path(self, part: Manifest, table: str) -> str:
        """Return the path of a part's file, in `filesystem`. Raises LedgerError where it is not as it was."""
        if table not in self._sizes:
            self._sizes[table] = self._sizes_of(table)
        path = f"{self.root}/{data_path(table, part.date, part.part)}"
        size = self._sizes[table].get(path)
        if size != part.files[table].bytes:
            state = "is missing" if size is None else f"has {size} bytes, not {part.files[table].bytes}"
            raise LedgerError(
                f"{self._url(path)}: {state}; open the lake again, or export its sessions again"
            )
        return path

    def _sizes_of(self, table: str) -> Mapping[str, int]:
        self.filesystem.invalidate_cache()
        try:
            found = self.filesystem.find(f"{self.root}/{table}", detail=True)
        except FileNotFoundError:
            return {}
        return {path: facts["size"] for path, facts in found.items() if path.endswith(DATA_SUFFIX)}

    def _url(self, path: str) -> str:
        return path if is_local(self.filesystem) else str(self.filesystem.unstrip_protocol(path))


def all_manifests(system: Any, root: str) -> list[Manifest]:
    """Return every manifest of a lake, replaced ones too. Raises LedgerError, OSError."""
    system.invalidate_cache()
    try:
        names = [str(name) for name in system.ls(f"{root}/{PARTS}", detail=False)]
    except FileNotFoundError:
        return []
    names = [name for name in names if name.endswith(MANIFEST_SUFFIX)]
    texts: Mapping[str, bytes | Exception] = system.cat(names, on_error="return") if names else {}
    found: list[Manifest] = []
    for name in names:
        text = texts[name]
        if isinstance(text, FileNotFoundError):
            continue  # another export has replaced it meanwhile
        if isinstance(text, Exception):
            raise text
        found.append(read_manifest(text, name))
    return found
