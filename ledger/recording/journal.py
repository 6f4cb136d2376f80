"""The way into a ledger: one file of JSON lines per process, appended to by that process alone."""

import os
from pathlib import Path
from typing import Final

from ledger_birth.journal_writer import FOLDER_SUFFIX, SUFFIX

_CHUNK_BYTES: Final = 1 << 20


def journal_folder(ledger: Path) -> Path:
    """Return the folder of the journals that belong to a ledger's path, whether they exist or not."""
    return ledger.with_name(ledger.name + FOLDER_SUFFIX)


def journals(folder: Path) -> list[Path]:
    """Return the journals in a folder, by name; none where there is no folder."""
    # os.path, unlike Path, raises nothing where one may not look.
    return sorted(folder.glob("*" + SUFFIX)) if os.path.isdir(folder) else []


def read_lines(journal: Path, offset: int = 0, limit: int | None = None) -> tuple[list[bytes], int]:
    """Return the finished lines from a byte offset on, `limit` at most, and the offset after them.

    What follows the last newline was never acknowledged and is not a line.
    """
    texts: list[bytes] = []
    with journal.open("rb") as file:
        file.seek(offset)
        pending: list[bytes] = []
        while limit is None or len(texts) < limit:
            if not (chunk := file.read(_CHUNK_BYTES)):
                break
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                pending.append(chunk)
                continue
            texts += b"".join((*pending, head)).split(b"\n")
            pending = [tail]
    if limit is not None:
        del texts[limit:]
    return texts, offset + sum(map(len, texts)) + len(texts)
