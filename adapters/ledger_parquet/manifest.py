"""The record that commits a part of a lake: which sessions it has, in which files, and what it replaces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ledger import LedgerError

LAKE_FORMAT: Final = 1
"""The version of the layout and the manifests. A change that old readers can't read makes it 2; 1 stays
readable."""

_ID_BYTES: Final = 16


class PartSession(BaseModel):
    """A session of a part."""

    model_config = ConfigDict(frozen=True)

    session: str
    event_count: int = Field(ge=0)
    digest: str
    """Of its events, as `digest` makes it: equal exactly where all events are."""
    reducer_version: int
    """By which rules its tables were derived."""


class PartFile(BaseModel):
    """A file of a part: the rows of one table."""

    model_config = ConfigDict(frozen=True)

    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """What a part is. Fields that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True)

    lake_format: int
    part: str
    """Its id, made from its date, its versions and the content of its files: same content, same part."""
    date: str | None
    """The date, in UTC, on which its sessions began; None where that is not known."""
    schema_version: int
    event_format: int
    reducer_version: int
    """The versions of the ledger from which the last session came in."""
    written_by: str
    """The version of compile-ledger."""
    replaces: tuple[str, ...] = ()
    """All parts whose sessions are in this one, and those that they had replaced."""
    sessions: tuple[PartSession, ...]
    files: dict[str, PartFile]
    """By table."""


def part_id(date: str | None, replaces: Sequence[str], files: Mapping[str, PartFile]) -> str:
    """Return a part's id, made from its date, from what it replaces, and from what its files contain."""
    hasher = hashlib.blake2b(digest_size=_ID_BYTES)
    for text in (date or "", *replaces, *(f"{name}={file.sha256}" for name, file in files.items())):
        hasher.update(f"{text}\n".encode())
    return hasher.hexdigest()


class _Format(BaseModel):
    lake_format: int


_FORMAT: Final = TypeAdapter(_Format)
_MANIFEST: Final = TypeAdapter(Manifest)


def read_manifest(text: bytes, where: str) -> Manifest:
    """Return a manifest from its JSON. Raises LedgerError, also for one of a newer format."""
    try:
        found = _FORMAT.validate_json(text).lake_format
        if found > LAKE_FORMAT:
            raise LedgerError(
                f"{where}: written by a newer compile-ledger (lake format {found}, this one knows "
                f"{LAKE_FORMAT}); upgrade with `pip install -U compile-ledger`"
            )
        return _MANIFEST.validate_json(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise LedgerError(f"{where}: damaged: {reason}; export its sessions again") from error


def valid_parts(manifests: list[Manifest]) -> list[Manifest]:
    """Return those that no other replaces, by date and id."""
    replaced = {part for manifest in manifests for part in manifest.replaces}
    return sorted(
        (manifest for manifest in manifests if manifest.part not in replaced),
        key=lambda manifest: (manifest.date or "", manifest.part),
    )
