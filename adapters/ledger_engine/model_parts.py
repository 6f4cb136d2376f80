"""The part of a model that an interval belongs to."""

from typing import Final, NamedTuple


class Part(NamedTuple):
    """A role and, inside of it, a component."""

    role: str | None
    component: str | None
    """By the engine's own name: a tag, or the name of a class."""


WHOLE: Final = Part(None, None)
"""What serves the whole process."""
