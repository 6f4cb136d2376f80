"""Process groups: sends signals to one, and tells whether anything of it still runs."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

_ENDED: Final = frozenset(b"ZX")
"""The states of a process that has ended and waits for its parent: in some containers, for ever."""
_GROUP_FIELD: Final = 2


def send(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; nothing where it is gone, or another user's."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def has_members(group: int) -> bool:
    """Return whether a process of the group runs."""
    return any(_is_member(entry, group) for entry in Path("/proc").glob("[0-9]*"))


def _is_member(entry: Path, group: int) -> bool:
    try:
        text = (entry / "stat").read_bytes()
    except OSError:
        return False  # it has just ended
    # The name, in brackets, may itself have brackets and blanks in it: state, parent and group come after it.
    fields = text.rpartition(b")")[2].split()
    return int(fields[_GROUP_FIELD]) == group and fields[0][0] not in _ENDED
