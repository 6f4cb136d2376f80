"""The fields of `process_joined`: a process's name and rank, and which hooks are in place."""

from ledger_birth.environment import process_name, rank
from ledger_birth.json_text import json_text
from ledger_birth.kernel import identity
from ledger_birth.secrets_hidden import hide_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from ledger_birth.json_text import Plain

_MAX_RANK: "Final" = 1 << 31


class ProcessInfo:
    """Goes out with the process's first event as `process_joined`, and again where it changes later."""

    def __init__(self) -> None:
        self.hooks: list[str] = []
        self.missing: dict[str, str] = {}
        """Why a hook is not in place, by its name."""
        self._named: tuple[str, int | None] | None = None
        self._identity: dict[str, str | int | None] | None = None

    def name(self, name: str, rank: "int | None") -> None:
        """Keep the name and rank that a host program gives, where it knows better.

        A rank that can be none is left out: an event that is not valid would cost the process all its others.
        """
        is_rank = type(rank) is int and 0 <= rank < _MAX_RANK
        self._named = (str(name) or process_name(), rank if is_rank else None)

    def add_hook(self, name: str) -> None:
        """Keep the name of a hook that is in place. Raises TypeError where it is no text."""
        json_text(name)
        if name not in self.hooks:
            self.hooks.append(name)

    def add_missing(self, name: str, reason: str) -> bool:
        """Keep why a hook is not in place; return whether that is new. Raises TypeError without a name."""
        json_text(name)
        if name in self.missing:
            return False
        self.missing[name] = hide_secrets(str(reason))
        return True

    def of_forked_child(self) -> "ProcessInfo":
        """Return a child's introduction: it has its parent's hooks, but is another process."""
        child = ProcessInfo()
        child.hooks, child.missing = list(self.hooks), dict(self.missing)
        return child

    def changing_fields(self) -> "dict[str, Plain]":
        """Return the fields that may be others later: of several events, the last one's count."""
        name, its_rank = self._named or (process_name(), rank())
        return {
            "name": name,
            "rank": its_rank,
            "hooks": tuple(self.hooks),
            "missing_hooks": tuple(f"{name}: {reason}" for name, reason in self.missing.items()),
        }

    def fields(self) -> "dict[str, Plain]":
        """Return all the fields of `process_joined` that are the process's own."""
        if self._identity is None:
            # Only once: an interpreter that is being taken down can't open a file any more.
            self._identity = identity()
        return {**self.changing_fields(), **self._identity}
