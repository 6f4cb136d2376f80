"""Hashes a log, so that its sessions are called by their content."""

import hashlib
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple

_CHUNK: Final = 1 << 20
_HASHED_AT_ONCE: Final = 8
"""Hashing is this much faster than reading, so hashed bytes count this much less in the progress."""


class FileHash(NamedTuple):
    """What a file contained when it was hashed."""

    digest: str
    size: int


def hashed(file: BinaryIO, progress: Callable[[int], None]) -> FileHash:
    """Return the hash and the size of a file that is read from its beginning."""
    digest, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        progress(len(chunk) // _HASHED_AT_ONCE)
    return FileHash(digest.hexdigest(), size)


def progress_of(size: int) -> int:
    """Return how many bytes are reported when a file of a size is hashed and then read."""
    return size + size // _HASHED_AT_ONCE
