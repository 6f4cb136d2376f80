"""What a process says of itself when it joins a session: its name and rank, and which hooks are in place."""

from collections.abc import Mapping

from ledger.environment import process_name, rank
from ledger.identity import this_process


class Introduction:
    """Gathered until the process's first event, with which it goes out as `process_joined`."""

    def __init__(self) -> None:
        self.hooks: list[str] = []
        self.missing: dict[str, str] = {}
        """Why a hook is not in place, by its name."""
        self.named: tuple[str, int | None] | None = None
        """The name and rank that a host program gave, where it knows better."""

    def of_forked_child(self) -> "Introduction":
        """Return a child's introduction: it has its parent's hooks, but is another process."""
        child = Introduction()
        child.hooks, child.missing = list(self.hooks), dict(self.missing)
        return child

    def fields(self) -> Mapping[str, object]:
        """Return the fields of `process_joined` that are the process's own."""
        name, its_rank = self.named or (process_name(), rank())
        return {
            "name": name,
            "rank": its_rank,
            **this_process()._asdict(),
            "hooks": tuple(self.hooks),
            "missing_hooks": tuple(f"{name}: {reason}" for name, reason in self.missing.items()),
        }
