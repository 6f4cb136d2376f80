"""Standard output and error of the commands: a reader that leaves is no failure, a full disk is one line."""

import io
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from ledger.errors import LedgerNotWritable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputClosed(Exception):
    """Nobody reads standard output any more, as in `compile-ledger report | head -2`."""


class OutputNotWritable(LedgerNotWritable):
    """Standard output can't be written to: the disk that it goes to is full."""


class _Output(io.FileIO):
    """Standard output. The first write that fails raises; what comes after it is dropped."""

    has_failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write bytes. Raises OutputClosed or OutputNotWritable."""
        if self.has_failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self.has_failed = True
            if isinstance(error, BrokenPipeError):
                raise OutputClosed from error
            raise OutputNotWritable(f"standard output: can't be written ({error.strerror})") from error


class _Diagnostics(io.FileIO):
    """Standard error. What can't be written to it is dropped: there is no place left to say so."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write bytes, or drop them."""
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


def replace_standard_streams() -> None:
    """Let failed writes to standard output raise errors of their own, and to standard error none."""
    # A program that calls the command line may have put something of its own in their places.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _over(sys.stdout, _Output)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _over(sys.stderr, _Diagnostics)


@contextmanager
def reader_may_leave() -> Generator[None]:
    """Go on after the block where nobody reads standard output: the exit code says more than the text."""
    with suppress(OutputClosed):
        yield
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdout.flush()


def _over(stream: TextIO | None, kind: type[io.FileIO]) -> TextIO:
    """Return a stream to the same descriptor, with the same encoding. One that is closed stays so."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # pyright: ignore[reportReturnType]
    return io.TextIOWrapper(
        io.BufferedWriter(kind(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        # Not every terminal's encoding has all characters that names may have.
        errors="replace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
    )
