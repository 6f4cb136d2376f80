"""Collects samples of stacks, profile by profile, in a bounded memory.

As long as they are few they keep the order of time. Of more, each stack of a profile has one sample, with all
of its time; and where there are too many stacks as well, what is new inside one of them is a frame "other
stages". What a profile adds up to stays the same to the nanosecond.
"""

from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

SAMPLES: Final = 200_000
"""So many samples, and so many stacks, has a session at most: some ten megabytes of JSON."""
DEEPEST: Final = 100
"""So many frames has a stack at most; torch's compiles nest in twenty. What is deeper counts as the last.

Stages that nobody ever ended lie one within the other, each with all before it in its stack.
"""


class Frame(NamedTuple):
    """An interval as a stack has it; those that are named alike are one."""

    name: str
    source: str


class Sample(NamedTuple):
    """Some time in one stack: its frames' places in the list of all, the outermost first."""

    stack: tuple[int, ...]
    ns: int


OTHER: Final = Frame("(other stages)", "")
_ROOT: Final = -1
"""In place of the stack around an outermost one."""


class _Profile:
    """The samples of one profile: stacks and nanoseconds, side by side."""

    __slots__ = ("ns", "stacks")

    def __init__(self) -> None:
        self.stacks = array("q")
        self.ns = array("q")

    def add(self, stack: int, ns: int) -> int:
        """Add a sample; return how many more there are now."""
        if self.stacks and self.stacks[-1] == stack:
            self.ns[-1] += ns
            return 0
        self.stacks.append(stack)
        self.ns.append(ns)
        return 1

    def sum_up(self) -> None:
        """Leave one sample for each stack."""
        sums: dict[int, int] = {}
        for stack, ns in zip(self.stacks, self.ns, strict=True):
            sums[stack] = sums.get(stack, 0) + ns
        self.stacks, self.ns = array("q", sums), array("q", sums.values())


class StackSamples:
    """The samples of several profiles. A stack is a number, and belongs to one profile."""

    def __init__(self, most: int = SAMPLES) -> None:
        self._most: Final = most
        self.frames: Final[dict[Frame, int]] = {}
        """The frames with their places, in the order of these."""
        self.is_summed_up: bool = False
        """Whether there were too many samples for the order of time, or too many stacks."""
        self._number = 0
        self._profiles: Final[list[_Profile]] = []
        self._around: Final = array("q")
        """By stack: the one without its last frame."""
        self._frame_of: Final = array("q")
        self._depths: Final = array("q")
        self._inside: Final[dict[tuple[int, int, int], int]] = {}
        """The stack of a profile, around a stack, that a frame makes."""

    def begin(self) -> int:
        """Begin a profile, and return its number."""
        self._profiles.append(_Profile())
        return len(self._profiles) - 1

    def stack(self, profile: int, around: int | None, frame: Frame) -> int:
        """Return the stack that a frame makes inside of another one; None is around an outermost one."""
        outer = _ROOT if around is None else around
        if around is not None and (self._depths[around] >= DEEPEST or self._is_other(around)):
            return around
        if (found := self._find(profile, outer, frame)) is not None:
            return found
        if len(self._around) >= self._most:
            frame, self.is_summed_up = OTHER, True
            if (found := self._find(profile, outer, frame)) is not None:
                return found
        number = len(self._around)
        self._around.append(outer)
        self._frame_of.append(self.frames.setdefault(frame, len(self.frames)))
        self._depths.append(1 if around is None else self._depths[around] + 1)
        self._inside[profile, outer, self._frame_of[number]] = number
        return number

    def add(self, profile: int, stack: int, ns: int) -> None:
        """Add time to a profile, after what was added to it before."""
        self._number += self._profiles[profile].add(stack, ns)
        if self._number > 2 * self._most:
            # Samples of the stacks that there are come again and again: summing up now and then is enough.
            self._sum_up()

    def of_profiles(self) -> Iterator[tuple[Sample, ...]]:
        """Yield the samples of each profile, in the order in which they began."""
        if self._number > self._most or self.is_summed_up:
            self._sum_up()
        for profile in self._profiles:
            stacks = list(zip(profile.stacks, profile.ns, strict=True))
            if self.is_summed_up:
                stacks.sort(key=lambda sample: self._path(sample[0]))  # what is in a stack stands behind it
            yield tuple(Sample(self._frames(stack), ns) for stack, ns in stacks)

    def _sum_up(self) -> None:
        self.is_summed_up = True
        for profile in self._profiles:
            profile.sum_up()
        self._number = sum(len(profile.stacks) for profile in self._profiles)

    def _find(self, profile: int, outer: int, frame: Frame) -> int | None:
        place = self.frames.get(frame)
        return None if place is None else self._inside.get((profile, outer, place))

    def _is_other(self, stack: int) -> bool:
        return self._frame_of[stack] == self.frames.get(OTHER)

    def _path(self, stack: int) -> tuple[int, ...]:
        """Return the stacks around a stack and itself, the outermost first."""
        path: list[int] = []
        while stack != _ROOT:
            path.append(stack)
            stack = self._around[stack]
        return tuple(reversed(path))

    def _frames(self, stack: int) -> tuple[int, ...]:
        return tuple(self._frame_of[one] for one in self._path(stack))
