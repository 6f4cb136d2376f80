"""What to call an interval: its stage, and what it was about.

torch begins a stage `dynamo` for each function that it compiles. What tells those apart is the compilation
that encloses them: its compile id, and the function with its file and line.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Final

from ledger.timeline.records import Compilation, Interval, IntervalKey
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import IMPORT, WAITING


class IntervalNames:
    """Names the intervals of a session."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline: Final = timeline
        self._inside: Final[dict[IntervalKey, str]] = {
            IntervalKey(one.process, one.interval): compiled(one) for one in timeline.compilations
        }
        """What is compiled in each interval that was asked about."""

    def __call__(self, interval: Interval) -> str:
        """Return an interval's name, such as "dynamo [1/2] forward train.py:11" or "import torch"."""
        return " ".join(filter(None, (self.stage(interval), self.about(interval))))

    def stage(self, interval: Interval) -> str:
        """Return the stage with what its own events say of it."""
        if interval.stage == WAITING:
            awaited = (interval.data or {}).get("for")
            return f"{WAITING} for {awaited}" if isinstance(awaited, str) else WAITING
        return " ".join(filter(None, (interval.stage, interval.component)))

    def about(self, interval: Interval) -> str:
        """Return what is compiled in it; nothing where it is part of no compilation."""
        if not self._inside or interval.stage == IMPORT:
            return ""
        path: list[IntervalKey] = []
        key: IntervalKey | None = IntervalKey(interval.process, interval.interval)
        while key is not None and key not in self._inside:
            path.append(key)
            key = self._enclosing.get(key)
        found = "" if key is None else self._inside[key]
        self._inside.update(dict.fromkeys(path, found))
        return found

    @cached_property
    def _enclosing(self) -> Mapping[IntervalKey, IntervalKey]:
        return {
            IntervalKey(one.process, one.interval): IntervalKey(one.process, one.enclosing)
            for one in self._timeline.intervals
            if one.enclosing is not None
        }


def compiled(compilation: Compilation) -> str:
    """Return what a compilation is of, such as "[1/2] forward train.py:11"."""
    compile_id = compilation.compile_id and f"[{compilation.compile_id}]"
    return " ".join(filter(None, (compile_id, compilation.function, place_of(compilation))))


def place_of(compilation: Compilation) -> str | None:
    """Return the file, without its folders, and the line of what was compiled."""
    if compilation.file is None:
        return None
    name = PurePath(compilation.file).name
    return name if compilation.line is None else f"{name}:{compilation.line}"
