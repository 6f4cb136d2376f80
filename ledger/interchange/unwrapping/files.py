"""Reads a file as text: out of gzip, bzip2, xz or zstd, within limits, and out of UTF-16."""

import bz2
import codecs
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import chain
from typing import BinaryIO, Final, NamedTuple, Protocol, cast

from ledger.errors import MissingExtra, UnrecognisedFile
from ledger.interchange.unwrapping.lines import LogLine

CHUNK: Final = 1 << 18
LONGEST: Final = 1 << 20
"""A line with more characters comes in pieces."""
FREE: Final = 1 << 29
"""So many bytes are decompressed whatever they come from, and beyond them `MAX_RATIO` times what was read.

A log of requests that differ in numbers alone has a ratio of 60; a file that was made to fill disks has 1,000
(gzip) or more.
"""
MAX_RATIO: Final = 200
_XZ_MEMORY: Final = 1 << 28
_MAX_DEPTH: Final = 3


class _Decompressor(Protocol):
    """What the decompressors of bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """A decompressor of gzip's with the interface of the others."""

    def __init__(self) -> None:
        self._inner: Final = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(0, max_length))


class _Compression(NamedTuple):
    name: str
    magic: bytes
    decompressor: Callable[[], _Decompressor]
    tool: str
    """What writes as much as there is of a file that was cut."""


def _zstd() -> _Decompressor:
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        found = import_module(module)
    except ImportError as error:
        raise MissingExtra.of("reading zstd", module, "zstd") from error
    return cast("_Decompressor", found.ZstdDecompressor())


_COMPRESSIONS: Final = (
    _Compression("gzip", b"\x1f\x8b\x08", _Gzip, "zcat"),
    _Compression("zstd", b"\x28\xb5\x2f\xfd", _zstd, "zstdcat"),
    _Compression("bzip2", b"BZh", bz2.BZ2Decompressor, "bzcat"),
    _Compression("xz", b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), "xzcat"),
)
_ARCHIVES: Final = ((b"PK\x03\x04", 0, "zip"), (b"ustar", 257, "tar"))
"""Those that cannot be read here: a zip archive is opened before, unless it is inside something."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The longer ones first: that of UTF-32 begins with that of UTF-16."""


class Content(NamedTuple):
    """What is in a file."""

    head: bytes
    """Its beginning, as it is kept."""
    chunks: Iterator[bytes]
    """All of it, decompressed, in UTF-8 where it is text."""
    is_as_kept: bool
    """Whether that is the file's own content."""
    is_binary: bool


def content_of(file: BinaryIO, name: str) -> Content:
    """Return what is in a file that is read from its beginning. Raises LedgerError."""
    head, chunks = _begin(_read(file))
    kept = head
    for _ in range(_MAX_DEPTH):
        compression = next((one for one in _COMPRESSIONS if head.startswith(one.magic)), None)
        if compression is None:
            break
        head, chunks = _begin(_decompressed(chunks, compression, name))
    for magic, place, form in _ARCHIVES:
        if head[place : place + len(magic)] == magic:
            raise UnrecognisedFile(f"{name}: a {form} archive; extract it, and import the log in it")
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in _MARKS if head.startswith(mark)), (b"", _encoding_of(head))
    )
    if encoding != "utf-8":
        text = _decoded(chunks, encoding, len(mark))
        return Content(kept, (piece.encode("utf-8", "surrogatepass") for piece in text), False, False)
    if mark:
        chunks = _without(chunks, len(mark))
    return Content(kept, chunks, kept is head and not mark, b"\0" in head)


def lines_of(chunks: Iterator[bytes]) -> Iterator[LogLine]:
    """Yield the lines of a text in UTF-8, without their ends. Bytes that are not UTF-8 come through."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    rest = ""
    for chunk in chain(chunks, (b"",)):
        *whole, rest = (rest + decoder.decode(chunk, final=not chunk)).split("\n")
        for text in whole:
            yield from _pieces(text)
        while len(rest) >= LONGEST:
            yield LogLine(rest[:LONGEST], is_cut=True)
            rest = rest[LONGEST:]
    if rest:
        yield LogLine(rest.removesuffix("\r"))


def _pieces(text: str) -> Iterator[LogLine]:
    while len(text) > LONGEST:
        yield LogLine(text[:LONGEST], is_cut=True)
        text = text[LONGEST:]
    yield LogLine(text.removesuffix("\r"))


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _begin(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of chunks, and all of them."""
    begin = b""
    for chunk in chunks:
        begin += chunk
        if len(begin) >= CHUNK // 2:
            break
    return begin, chain((begin,) if begin else (), chunks)


def _decompressed(chunks: Iterator[bytes], compression: _Compression, name: str) -> Iterator[bytes]:
    read, written = 0, 0
    decompressor = compression.decompressor()
    for chunk in chunks:
        read += len(chunk)
        data = chunk
        while data or not decompressor.needs_input:
            if decompressor.eof:  # another member
                decompressor = compression.decompressor()
            try:
                piece = decompressor.decompress(data, CHUNK)
            except Exception as error:  # zstd's own error is of a module that may not be there
                if written and not data.strip(b"\0"):
                    return  # padding
                raise UnrecognisedFile(f"{name}: damaged {compression.name} data: {error}") from error
            written += len(piece)
            if written > FREE and written > read * MAX_RATIO:
                raise UnrecognisedFile(
                    f"{name}: {compression.name} data that grows to more than {MAX_RATIO} times its size: "
                    f"not read further than {written:,} bytes; if it is a log, decompress it first"
                )
            if piece:
                yield piece
            data = decompressor.unused_data if decompressor.eof else b""
            if decompressor.eof and not data:
                break
    if not decompressor.eof:
        raise UnrecognisedFile(
            f"{name}: {compression.name} data that was cut off; to read what there is of it: "
            f"{compression.tool} {name} | compile-ledger import -"
        )


def _encoding_of(head: bytes) -> str:
    """Return the encoding of a text without a mark: UTF-16's ASCII has a zero in each second byte."""
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[first::2], head[1 - first :: 2]
        if len(zeros) > 8 and zeros.count(0) * 10 >= len(zeros) * 9 and others.count(0) == 0:
            return encoding
    return "utf-8"


def _decoded(chunks: Iterator[bytes], encoding: str, skipped: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chain(_without(chunks, skipped), (b"",)):
        yield decoder.decode(chunk, final=not chunk)


def _without(chunks: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    yield next(chunks, b"")[skipped:]
    yield from chunks
