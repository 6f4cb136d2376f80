"""Surveys a trace for its digest, and for what its first event must contain.

The rank may come late (torch opens the file before the program joins its group), and so does Python's
version.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

from ledger_torch_trace.observations import mapping_of
from ledger_torch_trace.records import METRICS, Record, chunks, parse, split

_RANK_IN_NAME: Final = re.compile(r"rank_(\d{1,9})_")
_LARGEST_PID: Final = 1 << 22
"""Linux's own limit: until 2.5 torch's prefix has a thread's address in place of the process's id."""
_FIELDS: Final = {"torch": "pytorch_version", "python": "python_version"}


class Survey(NamedTuple):
    """A trace's digest and description, before its events are read."""

    path: Path
    size: int
    digest: str
    rank: int | None
    pid: int | None
    versions: dict[str, str]

    @property
    def process(self) -> str:
        """The id of its process: from the rank and the content, whatever the file is called."""
        return f"{'process' if self.rank is None else f'rank{self.rank}'}-{self.digest[:16]}"


def survey(path: Path, progress: Callable[[int], None]) -> Survey:
    """Read a file once, all of it. Raises OSError if it can't be read."""
    size = path.stat().st_size
    named = _RANK_IN_NAME.search(path.name)
    rank = None if named is None else int(named[1])
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for piece in chunks(path, size, progress):
            digest.update(piece)
            yield piece

    pieces = hashed()
    pid: int | None = None
    versions: dict[str, str] = {}
    for raw in split(pieces):
        record = parse(raw)
        if record is None:
            continue
        pid = record.pid if pid is None and record.pid <= _LARGEST_PID else pid
        if rank is None and b'"rank": ' in record.metadata:
            rank = _rank_of(record)
        for name, version in _versions_of(record, versions):
            versions.setdefault(name, version)
        if rank is not None and len(versions) == len(_FIELDS):
            break
    for _ in pieces:  # to the end, for the digest
        pass
    return Survey(path, size, digest.hexdigest(), rank, pid, versions)


def _rank_of(record: Record) -> int | None:
    rank = (mapping_of(record.metadata) or {}).get("rank")
    return rank if type(rank) is int and 0 <= rank < 2**31 else None


def _versions_of(record: Record, found: dict[str, str]) -> Iterator[tuple[str, str]]:
    if len(found) == len(_FIELDS):
        return
    if record.kind == "artifact" and b'"torch_version"' in record.metadata:
        fields = mapping_of(record.payload or b"")
    elif record.kind in METRICS:
        fields = (mapping_of(record.metadata) or {}).get(record.kind)
    else:
        return
    if isinstance(fields, dict):
        texts = cast("dict[str, object]", fields)
        for name, field in _FIELDS.items():
            version = texts.get(field)
            if isinstance(version, str) and version.strip():
                # Python's version is followed by the build's date and compiler.
                yield name, version.split()[0][:100]
