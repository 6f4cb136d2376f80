"""The stages of a process of which one line says that they begin, and another one that they end."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ledger_vllm.message_patterns import OccurrenceName

BEGINNINGS: Final[frozenset[OccurrenceName]] = frozenset(
    {"warmup_begins", "autotune_begins", "kernel_compile_begins"}
)
ENDINGS: Final[frozenset[OccurrenceName]] = frozenset({"warmup_ends", "autotune_ends", "kernel_compile_ends"})
_MOST: Final = 100
"""Stages that go on at a time; a start-up has a few."""

_Entry = TypeVar("_Entry")
Key = tuple[str, str | None]
"""A stage, and what it is spent on."""


class BegunStages(Generic[_Entry]):
    """What has begun and not ended, each with its line's entry."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}

    def begin(self, key: Key, entry: _Entry) -> _Entry | None:
        """Take a beginning, and return the entry of one that no end will come for."""
        older = self._entries.pop(key, None)
        if older is None and len(self._entries) >= _MOST:
            older = self._entries.pop(next(iter(self._entries)))
        self._entries[key] = entry
        return older

    def end(self, key: Key) -> _Entry | None:
        """Return the entry with which the stage began that ends now, if there is one."""
        return self._entries.pop(key, None)

    def get(self, key: Key) -> _Entry | None:
        """Return the entry of what goes on."""
        return self._entries.get(key)

    def __iter__(self) -> Iterator[_Entry]:
        """Return the entries of all that goes on, the earliest first."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        """Return how many go on."""
        return len(self._entries)
