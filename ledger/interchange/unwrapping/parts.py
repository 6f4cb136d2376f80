"""Writes what a container holds to a file for each service, in the order in which it was logged."""

import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from heapq import merge
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast
from uuid import uuid4

from ledger.errors import UnrecognisedFile
from ledger.events.jsonl import looks_like_lines
from ledger.interchange.pipes import opened_to_read
from ledger.interchange.unwrapping.archives import MAGIC, files_in
from ledger.interchange.unwrapping.files import CHUNK, content_of, lines_of
from ledger.interchange.unwrapping.layers import Layers, begin_of, without_containers
from ledger.interchange.unwrapping.lines import LogLine

_ZIP: Final = "a zip archive"
_MAX_SERVICES: Final = 1_000
_MAX_SOURCES: Final = 200
"""How many streams of a service are put into one order; the files of all are open at once."""
_BUFFERED: Final = 1 << 20
"""How many characters wait to be written, over all services."""
_WITHIN: Final = "\x1d"
"""Stands for the end of a line within a record, until the records are in order."""
_STAMPED: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z? ")
_TEXT_STAMP: Final = re.compile(r"(?:\d{4}-)?\d\d-\d\d[ T]\d\d:\d\d:\d\d")
_LOOKED_AT: Final = 256
_LATER_PER_EARLIER: Final = 9
"""In a log that shows the newest line first, as many stamps go back for one that goes on. Processes that log
at the same time are a little out of order in any log."""


class Part(NamedTuple):
    """The log of one service."""

    path: Path
    service: str | None = None
    """None where the file has no more than one."""
    containers: Sequence[str] = ()
    """What it was taken out of, the outermost first."""
    is_stamped: bool = False
    """Whether a container says when lines were written: those begin with a `normal_stamp` and a space."""


def unwrapped(source: Path | BinaryIO, name: str, folder: Path) -> Sequence[Part]:
    """Return the logs in a file, pipe or stream, each as a file; a plain file, and a folder, is its own part.

    What has to be written goes into `folder`, and has the time of the last change of what it came from.
    Raises LedgerError: `name` is what its message calls the source.
    """
    if not isinstance(source, Path):
        return _Unwrapping(name, folder, None, None).parts_of_any(source)
    if source.is_dir():
        return [Part(source)]
    try:
        found = source.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
            raise UnrecognisedFile(f"{name}: neither a file nor a folder nor a pipe")
        is_file = stat.S_ISREG(found.st_mode)
        with opened_to_read(source) if stat.S_ISFIFO(found.st_mode) else source.open("rb") as file:
            kept = source if is_file else None
            changed_ns = found.st_mtime_ns if is_file else None
            return _Unwrapping(name, folder, kept, changed_ns).parts_of_any(file)
    except OSError as error:
        raise UnrecognisedFile(f"{name}: {error.strerror or error}") from error


def without_stamps(part: Part, folder: Path) -> Part:
    """Return the part without what containers said of when its lines were written."""
    path = folder / f"{part.path.name}-plain"
    with part.path.open("rb") as lines, path.open("wb") as file:
        file.writelines(_STAMPED.sub(b"", line, count=1) if _STAMPED.match(line) else line for line in lines)
    return part._replace(path=path, is_stamped=False)


def _are_newest_first(earlier: int, later: int, *, at_least: int) -> bool:
    """Whether lines are in the opposite order, by how many stamps are before and after the last one."""
    return earlier >= at_least and earlier > _LATER_PER_EARLIER * later


class _Unwrapping(NamedTuple):
    """How a source is taken apart."""

    name: str
    folder: Path
    kept: Path | None
    """Where its content is kept already: None for a pipe."""
    changed_ns: int | None

    def parts_of_any(self, file: BinaryIO) -> Sequence[Part]:
        """Return the parts of a file, and of each file in a zip archive."""
        magic = file.read(len(MAGIC[0]))
        if magic not in MAGIC:
            return self.parts(cast("BinaryIO", _Begun(magic, file)))
        if self.kept is None:
            # It is read from its end.
            path = self._written(chain((magic,), iter(lambda: file.read(CHUNK), b"")))
            try:
                with path.open("rb") as archive:
                    return self._of_archive(archive)
            finally:
                path.unlink()
        return self._of_archive(file)

    def _of_archive(self, archive: BinaryIO) -> Sequence[Part]:
        parts: list[Part] = []
        for inside, file in files_in(archive, self.name):
            for part in self._replace(name=f"{self.name}: {inside}", kept=None).parts(file):
                service = inside if part.service is None else f"{inside}/{part.service}"
                parts.append(part._replace(service=service, containers=(_ZIP, *part.containers)))
        return [parts[0]._replace(service=None)] if len(parts) == 1 else parts

    def parts(self, file: BinaryIO) -> Sequence[Part]:
        content = content_of(file, self.name)
        kept = self.kept if content.is_as_kept else None
        if content.is_binary:
            # Nobody reads it: its beginning is enough to say so.
            return [Part(kept or self._written((next(content.chunks, b""),)))]
        chunks = _Remembered(content.chunks)
        head, lines = begin_of(lines_of(iter(chunks)))
        if not looks_like_lines("\n".join(line.text for line in head).encode("utf-8", "surrogateescape")):
            layers = without_containers(lines)
            if layers.names or _is_newest_first(layers.head):
                chunks.forget()
                return self._parts_of(layers)
        return [Part(kept or self._written(chain(chunks.so_far, content.chunks)))]

    def _written(self, chunks: Iterable[bytes]) -> Path:
        path = self._path()
        with path.open("wb") as file:
            file.writelines(chunks)
        self._set_change(path)
        return path

    def _parts_of(self, layers: Layers) -> Sequence[Part]:
        spools = self._spooled(layers.lines)
        parts: list[Part] = []
        for service, sources in spools.items():
            path = self._in_order(list(sources.values()))
            is_stamped = any(each.is_stamped for each in sources.values())
            parts.append(Part(path, service if len(spools) > 1 else None, layers.names, is_stamped))
        if len(parts) == 2 and parts[0].service is None:
            # What stands before the first line of the only service.
            with parts[0].path.open("ab") as begin, parts[1].path.open("rb") as rest:
                shutil.copyfileobj(rest, begin)
            parts = [parts[1]._replace(path=parts[0].path, service=None)]
        for part in parts:
            self._set_change(part.path)
        return parts or [Part(self._written(()))]

    def _spooled(self, lines: Iterator[LogLine]) -> "dict[str | None, dict[str | None, _Spool]]":
        """Return what was written, by service and stream. Lines that are nobody's are of the last service."""
        spools: dict[str | None, dict[str | None, _Spool]] = {}
        service: str | None = None
        buffered = 0
        for line in lines:
            service = line.service or service
            sources = spools.setdefault(service, {})
            if len(spools) > _MAX_SERVICES:
                raise UnrecognisedFile(f"{self.name}: more than {_MAX_SERVICES:,} services in one file")
            source = line.source if line.source in sources or len(sources) < _MAX_SOURCES else None
            spool = sources.get(source)
            if spool is None:
                spool = sources[source] = _Spool(self._path())
            buffered += spool.add(line)
            if buffered > _BUFFERED:
                buffered = 0
                for each in _all(spools):
                    each.flush()
        for each in _all(spools):
            each.flush()
        return spools

    def _in_order(self, spools: list["_Spool"]) -> Path:
        """Return a file with the records of all streams of a service, the oldest first."""
        if len(spools) == 1 and not spools[0].has_to_be_rewritten:
            return spools[0].path
        path = self._path()
        with ExitStack() as stack, path.open("wb") as out:
            streams = [stack.enter_context(spool.path.open("rb")) for spool in spools]
            records = [
                one
                for spool, stream in zip(spools, streams, strict=True)
                for one in _records_of(spool, stream)
            ]
            ordered = records[0] if len(records) == 1 else merge_by_stamp(records)
            within = _WITHIN.encode()
            out.writelines(record.replace(within, b"\n") for record in ordered)
        for spool in spools:
            spool.path.unlink()
        return path

    def _path(self) -> Path:
        return self.folder / uuid4().hex

    def _set_change(self, path: Path) -> None:
        if self.changed_ns is not None:
            os.utime(path, ns=(self.changed_ns, self.changed_ns))


class _Spool:
    """A file to which the records of one stream of a service are written, in the order in which they come."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.is_stamped = False
        self._buffer: list[bytes] = []
        self._last: tuple[bool, str] | None = None
        self._earlier, self._later = 0, 0
        self._has_records_of_lines = False
        self._is_cut = False
        self._pages = [0]
        self._size = 0

    @property
    def is_newest_first(self) -> bool:
        # A container's stamps are exact; of whole seconds, two lines may be out of order in any log.
        is_exact = self._last is not None and self._last[0]
        return _are_newest_first(self._earlier, self._later, at_least=1 if is_exact else 2)

    @property
    def pages(self) -> Sequence[int]:
        """Where each page begins: records that follow one another by the exact stamps of a container."""
        return self._pages if len(self._pages) <= _MAX_SOURCES else (0,)

    @property
    def has_to_be_rewritten(self) -> bool:
        return self._has_records_of_lines or self.is_newest_first or len(self.pages) > 1

    def add(self, line: LogLine) -> int:
        """Add a record, and return how many characters it has."""
        text = line.text
        if not self._is_cut:
            self._compare(line)
            prefix = "" if line.stamp is None else f"{line.stamp} "
            self.is_stamped = self.is_stamped or bool(prefix)
            if "\n" in text:
                self._has_records_of_lines = True
                text = _WITHIN.join(f"{prefix}{one}" for one in text.split("\n"))
            else:
                text = prefix + text
        self._is_cut = line.is_cut
        whole = (text if line.is_cut else f"{text}\n").encode("utf-8", "surrogateescape")
        self._buffer.append(whole)
        self._size += len(whole)
        return len(whole)

    def flush(self) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(self._buffer))
        self._buffer.clear()

    def _compare(self, line: LogLine) -> None:
        stamp = _stamp_of(line)
        if stamp is None:
            return
        if self._last is not None and self._last[0] == stamp[0]:
            is_earlier = stamp[1] < self._last[1]
            self._earlier += is_earlier
            if is_earlier and stamp[0] and len(self._pages) <= _MAX_SOURCES:
                self._pages.append(self._size)
            self._later += stamp[1] > self._last[1]
        self._last = stamp


def merge_by_stamp(streams: Sequence[Iterator[bytes]]) -> Iterator[bytes]:
    """Yield the records of streams by their stamps; one without a stamp comes after the one before it."""
    for _, record in merge(*map(_with_stamps, streams), key=lambda pair: pair[0]):
        yield record


def _with_stamps(records: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    stamp = b""
    for record in records:
        found = _STAMPED.match(record)
        stamp = stamp if found is None else found[0]
        yield stamp, record


def _records_of(spool: _Spool, file: BinaryIO) -> Sequence[Iterator[bytes]]:
    """Return the records of a stream, as streams that are each in order."""
    if spool.is_newest_first:
        return [_reversed(file)]
    pages = spool.pages
    return [_page(file, begin, end) for begin, end in zip(pages, (*pages[1:], None), strict=True)]


def _page(file: BinaryIO, begin: int, end: int | None) -> Iterator[bytes]:
    """Yield the lines of a part of a file that others read at the same time."""
    place = begin
    while end is None or place < end:
        file.seek(place)
        lines = file.readlines(CHUNK if end is None else min(CHUNK, end - place - 1) or 1)
        if not lines:
            return
        yield from lines
        place += sum(map(len, lines))


def _reversed(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file, the last one first."""
    place = file.seek(0, os.SEEK_END)
    rest = b""
    while place:
        size = min(CHUNK, place)
        place -= size
        file.seek(place)
        first, *lines = (file.read(size) + rest).split(b"\n")
        for line in reversed(lines):
            if line:
                yield line + b"\n"
        rest = first
    if rest:
        yield rest + b"\n"


def _stamp_of(line: LogLine) -> tuple[bool, str] | None:
    """Return when a line was written, and whether a container says it."""
    if line.stamp is not None:
        return True, line.stamp
    found = _TEXT_STAMP.search(line.text, 0, _LOOKED_AT)
    return None if found is None else (False, found[0])


def _is_newest_first(lines: Sequence[LogLine]) -> bool:
    stamps = [stamp[1][-14:] for line in lines if (stamp := _stamp_of(line)) is not None]
    pairs = list(pairwise(stamps))
    return _are_newest_first(sum(b < a for a, b in pairs), sum(b > a for a, b in pairs), at_least=2)


def _all(spools: dict[str | None, "dict[str | None, _Spool]"]) -> Iterator[_Spool]:
    return (spool for sources in spools.values() for spool in sources.values())


class _Begun:
    """A file of which the beginning was read already."""

    def __init__(self, begin: bytes, file: BinaryIO) -> None:
        self._begin = begin
        self._file: Final = file

    def read(self, size: int) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + self._file.read(size - len(begin))


class _Remembered:
    """Chunks, of which those that were looked at can be had again until they are forgotten."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks: Final = chunks
        self._so_far: list[bytes] | None = []

    @property
    def so_far(self) -> Sequence[bytes]:
        return self._so_far or ()

    def forget(self) -> None:
        self._so_far = None

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if self._so_far is not None:
                self._so_far.append(chunk)
            yield chunk
