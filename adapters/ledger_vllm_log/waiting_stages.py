"""The stages of a process whose place on the timeline later lines may still tell, each with those inside it.

A line is logged at the end of what it times: so a stage comes after those inside it.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ledger_vllm.logged_stages import LOGGED_STAGES
from ledger_vllm_log.entries import Entry
from ledger_vllm_log.interval_placement import Nested, SoFar, put_all

_CONTAINING_STAGES: Final = frozenset(
    stage.within for stage in LOGGED_STAGES.values() if stage.within is not None
)
_AROUND_COMPILE: Final = frozenset(("memory_profile",))
"""Stages that a compile is inside of where it is as long as they are at most: that of the V0 engine."""


class Waiting(NamedTuple):
    """A stage or a moment, and the stages inside it."""

    entry: Entry
    inside: "Sequence[Waiting]" = ()

    @property
    def entries(self) -> Iterator[Entry]:
        """All of them, the whole first: of equal intervals the one that started first encloses the others."""
        yield self.entry
        for one in self.inside:
            yield from one.entries

    @property
    def nested(self) -> Nested:
        """The same as places on the timeline."""
        return Nested(self.entry.placed, [one.nested for one in self.inside])


class WaitingStages:
    """What one process has logged, until it is placed."""

    def __init__(self) -> None:
        self._all: list[Waiting] = []
        self._so_far = SoFar()

    def __len__(self) -> int:
        """Return how many wait, those inside others not counted."""
        return len(self._all)

    @property
    def end_ns(self) -> int:
        """Until when the timeline is filled with what was placed."""
        return self._so_far.end_ns

    def inside(self, stage: str) -> Sequence[Entry]:
        """Return what a stage has inside it if its line is the next one."""
        return [one.entry for one in self._all[self._first_inside(stage) :]]

    def add(self, entry: Entry) -> None:
        """Take a line; what is inside it no longer waits by itself."""
        stage = entry.placed.stage
        first = len(self._all)
        if entry.kind == "stage" and stage in _CONTAINING_STAGES:
            first = self._first_inside(stage)
        elif entry.kind == "stage" and stage in _AROUND_COMPILE:
            first = self._first_compile(entry)
        self._all[first:] = [Waiting(entry, self._all[first:])]

    def settle(self, engine_init: Entry | None = None) -> Sequence[Entry]:
        """Place everything that waits, and return it; what waits is inside `engine_init` if it can be."""
        waiting, self._all = self._all, []
        before = 0
        if engine_init is not None:
            precedes = (LOGGED_STAGES[one.entry.placed.stage].precedes_engine_init for one in waiting)
            before = max((number + 1 for number, is_before in enumerate(precedes) if is_before), default=0)
        self._so_far = put_all([one.nested for one in waiting[:before]], self._so_far)
        around = None if engine_init is None else engine_init.placed
        self._so_far = put_all([one.nested for one in waiting[before:]], self._so_far, around)
        settled = [entry for one in waiting for entry in one.entries]
        return settled if engine_init is None else [engine_init, *settled]

    def _first_inside(self, stage: str) -> int:
        first = len(self._all)
        while first and _is_inside(self._all[first - 1].entry, stage):
            first -= 1
        return first

    def _first_compile(self, whole: Entry) -> int:
        """Return where the compile begins that a stage may have around it, if it has one."""
        place = whole.placed
        first = len(self._all)
        while first and self._all[first - 1].entry.kind == "moment":
            first -= 1
        if not first or (one := self._all[first - 1].entry.placed).stage != "torch_compile":
            return len(self._all)
        is_as_long = one.length_ns <= place.length_ns
        is_later = one.stamp_ns + one.unit_ns > place.stamp_ns - place.length_ns
        return first - 1 if is_as_long and is_later else len(self._all)


def _is_inside(entry: Entry, whole: str) -> bool:
    """Whether a stage is a part of another one, or of a part of it."""
    stage = LOGGED_STAGES[entry.placed.stage].within
    while stage is not None and stage != whole:
        stage = LOGGED_STAGES[stage].within
    return entry.kind == "stage" and stage is not None
