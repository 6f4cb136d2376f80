"""Opens zip archives, as GitHub gives its jobs' logs: a log for each file in one, within limits."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import BinaryIO, Final, cast

from ledger.errors import UnrecognisedFile
from ledger.interchange.unwrapping.files import FREE, MAX_RATIO

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")
_MAX_FILES: Final = 1_000
_JOB: Final = re.compile(r"\d+_(?P<job>[^/]+)\.txt")
"""GitHub's file of a whole job, beside the folder with one for each of its steps."""


def files_in(archive: BinaryIO, name: str) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the name and the content of each file that may be a log. Raises UnrecognisedFile."""
    try:
        opened = zipfile.ZipFile(archive)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise UnrecognisedFile(f"{name}: a damaged zip archive: {error}") from error
    with opened:
        files = [one for one in opened.infolist() if not one.is_dir() and one.file_size]
        jobs = [(found["job"], one) for one in files if (found := _JOB.fullmatch(one.filename)) is not None]
        chosen = jobs or [(one.filename, one) for one in files]
        if not chosen:
            raise UnrecognisedFile(f"{name}: a zip archive with nothing in it")
        if len(chosen) > _MAX_FILES:
            raise UnrecognisedFile(
                f"{name}: a zip archive of {len(chosen):,} files; extract it, and import those that are logs"
            )
        for inside, one in chosen:
            try:
                with opened.open(one) as file:
                    yield (
                        inside,
                        cast("BinaryIO", _Bounded(file, one.compress_size, f"{name}: {one.filename}")),
                    )
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
                raise UnrecognisedFile(f"{name}: {one.filename}: {error}") from error


class _Bounded(RawIOBase):
    """A file of an archive that does not grow to many times what it takes there."""

    def __init__(self, file: object, compressed: int, name: str) -> None:
        self._file: Final = cast("BinaryIO", file)
        self._most: Final = max(FREE, compressed * MAX_RATIO)
        self._name: Final = name
        self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes. Raises UnrecognisedFile where they are too many, or damaged."""
        try:
            piece = self._file.read(size)
        except (zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise UnrecognisedFile(f"{self._name}: damaged: {error}") from error
        self._read += len(piece)
        if self._read > self._most:
            raise UnrecognisedFile(
                f"{self._name}: grows to more than {MAX_RATIO} times its size in the archive: not read "
                f"further than {self._read:,} bytes; if it is a log, extract it first"
            )
        return piece
