"""Gives each role its colour: one for all charts of a page, and the usual roles the same on every page."""

from collections.abc import Iterable
from typing import Final

from ledger.formatting import NO_ROLE, cut
from ledger.reports.html.subject import Subject
from ledger.vocabulary import ROLE_OF_TORCH

COLOURS: Final = 8
"""So many there are in `page.css`, that of the whole process included: `--role-0` to `--role-7`."""
_WHOLE_PROCESS: Final = 0
_NAME: Final = 60
_ALWAYS: Final[dict[str | None, int]] = {
    None: _WHOLE_PROCESS,
    "language_model": 1,
    "encoder": 2,
    "drafter": 3,
    ROLE_OF_TORCH: 4,
}


class Roles:
    """The roles of the sessions of a page."""

    def __init__(self, subjects: Iterable[Subject]) -> None:
        seen = {interval.role for subject in subjects for interval in subject.timeline.intervals}
        # What the usual roles leave over comes last, so that pages with them look alike.
        unused = [colour for role, colour in _ALWAYS.items() if role is not None and role not in seen]
        free = [*range(len(_ALWAYS), COLOURS), *unused]
        others = sorted(role for role in seen if role is not None and role not in _ALWAYS)
        self._colour_of: Final = {
            **{role: colour for role, colour in _ALWAYS.items() if role in seen},
            **{role: free[number % len(free)] for number, role in enumerate(others)},
        }

    def listed(self) -> list[tuple[str, int]]:
        """Return the names of the roles by their numbers, each with its colour."""
        return [(cut(role or NO_ROLE, _NAME), colour) for role, colour in self._colour_of.items()]

    def colour(self, role: str | None) -> int:
        """Return the number of a role's colour."""
        return self._colour_of.get(role, _WHOLE_PROCESS)

    def number(self, role: str | None) -> int:
        """Return the number of a role among all of the page."""
        return list(self._colour_of).index(role) if role in self._colour_of else -1
