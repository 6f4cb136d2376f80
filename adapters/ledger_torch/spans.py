"""Turns torch's begin and end events into intervals, with a stack of what is open in each thread.

torch's own stack is the authority on what is open: some begins never get their end (compiled autograd's),
and a compile clears what an earlier one left on it. A span that vanished from it is no longer a parent. Its
end may still come, if the compile that cleared it ran inside another one (2.6); without an end it gets no
stop, and the reducer calls it abandoned.
"""

import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from ledger import Recorder
from ledger_torch.compile_facts import GraphBreaks, Kernels, simple
from ledger_torch.hook_targets import ACCUMULATED, COUNTED, FRAME, KERNELS_READY
from ledger_torch.outcome import control_flow

_MAX_REMEMBERED: Final = 1_000
_MAX_LOST: Final = 100
_MAX_ACCUMULATED: Final = 10_000


class _Open(NamedTuple):
    """A begin without its end."""

    stage: str
    interval: int
    handled: BaseException | None
    """The exception that was being handled at the begin."""
    depth: int
    """How many were open below it, by torch's own count."""
    begin_us: float
    data: Mapping[str, object]
    breaks_before: int
    """Of a frame: a mark of where its graph breaks begin."""


class Ended(NamedTuple):
    """An interval that ended in this thread, whose length torch adds up into one of its metrics."""

    stage: str
    interval: int
    begin_us: float
    """Its begin on torch's clock: the wall clock, in microseconds."""
    is_runtime: bool = False
    """Whether it ran outside of any compile: torch adds it up in another record then."""


class _Thread(threading.local):
    def __init__(self, utils: ModuleType | None) -> None:
        self.graph_breaks = GraphBreaks(utils)
        self.open: list[_Open] = []
        self.lost: deque[_Open] = deque(maxlen=_MAX_LOST)
        """Spans that vanished from torch's stack before their end."""
        self.ended: deque[Ended] = deque(maxlen=_MAX_REMEMBERED)


class Spans:
    """The intervals of this process, from torch's events, each in the thread where it happens."""

    def __init__(
        self, recorder: Recorder, depth: Callable[[], int] | None, utils: ModuleType | None = None
    ) -> None:
        """`depth` counts torch's open spans in the calling thread; None if torch can't say.

        `utils` is torch's module that has the graph breaks.
        """
        self._recorder = recorder
        self._depth = depth
        self._utils = utils
        self._kernels = Kernels()
        self.stage_of: dict[str, str] = {}
        """Stage names by function, for functions whose spans have another name."""
        self.forget()
        _all_spans.add(self)

    def observe(self, event: Mapping[str, Any]) -> None:
        """Record one event, in the thread and at the moment where it happens."""
        phase = event["ph"]
        if phase == "B":
            self._begin(event)
        elif phase == "E":
            self._end(event)

    def take_ended(self, *, is_runtime: bool, since_us: float = 0) -> list[Ended]:
        """Return what ended in this thread, once: of compiles, or of what ran outside of any.

        Of compiles only what began since a time on torch's clock: the rest was of an earlier one.
        """
        ended = list(self._thread.ended)
        self._thread.ended.clear()
        self._thread.ended.extend(span for span in ended if span.is_runtime != is_runtime)
        return [span for span in ended if span.is_runtime == is_runtime and span.begin_us >= since_us]

    def _begin(self, event: Mapping[str, Any]) -> None:
        stack = self._thread.open
        depth = len(stack) if self._depth is None else self._depth()
        # torch pushes a begin only after calling the hook, so its stack holds just the ancestors.
        while stack and stack[-1].depth >= depth:
            self._thread.lost.append(stack.pop())
        stage = event["name"]
        data = simple(event["args"] or {})
        if (function := data.get("fn_name")) is not None:
            self.stage_of[str(function)] = stage
        # A stage that the program opened inside our innermost one began after it: its id is the larger.
        around = (self._recorder.innermost, stack[-1].interval if stack else None)
        parent = max((above for above in around if above is not None and above >= 0), default=None)
        interval = self._recorder.start(stage, source="torch", parent=parent, data=data)
        breaks_before = self._thread.graph_breaks.begin() if stage == FRAME else 0
        stack.append(_Open(stage, interval, sys.exc_info()[1], depth, event["ts"], data, breaks_before))

    def _end(self, event: Mapping[str, Any]) -> None:
        stage = event["name"]
        began = self._take(stage)
        if began is None:
            self._recorder.gap("unmatched_end", detail=stage)
            return
        begin_data = began.data
        end_data = simple(event["args"] or {})
        data = {name: value for name, value in end_data.items() if begin_data.get(name) != value}
        if stage == FRAME and (breaks := self._thread.graph_breaks.end(began.breaks_before)) is not None:
            data["graph_breaks"] = breaks
        elif stage in KERNELS_READY and (answers := self._kernels.take_answers()):
            data["autotune_cache"] = answers
        error = sys.exc_info()[1]
        if error is not None and error is not began.handled:
            control = control_flow(error)
            if control is None:
                failed = type(error).__name__
                self._recorder.stop(began.interval, outcome="failed", error=failed, data=data or None)
            else:
                self._recorder.stop(began.interval, data={**data, **control})
        else:
            self._recorder.stop(began.interval, data=data or None)
        self.has_ended = True
        if stage in ACCUMULATED:
            self._note_accumulated(stage, began.interval, end_data)
        if stage in COUNTED and began.interval >= 0:
            is_runtime = "compile_id" not in begin_data
            self._thread.ended.append(Ended(stage, began.interval, began.begin_us, is_runtime))

    def _note_accumulated(self, stage: str, interval: int, end_data: Mapping[str, object]) -> None:
        lengths = {name: end_data.get(f"{name}_time_s") for name in ACCUMULATED[stage]}
        measured = {name: length for name, length in lengths.items() if isinstance(length, float)}
        if measured and interval >= 0:
            self.accumulated.append((interval, measured))

    def _take(self, stage: str) -> _Open | None:
        """Return the innermost begin of a stage, and close what lies above it, as torch does."""
        stack, lost = self._thread.open, self._thread.lost
        if any(began.stage == stage for began in stack):
            while (began := stack.pop()).stage != stage:
                lost.append(began)
            return began
        for began in reversed(lost):
            if began.stage == stage:
                lost.remove(began)
                return began
        return None

    def forget(self) -> None:
        """Reset, with nothing open and nothing ended: in a forked child."""
        self._thread = _Thread(self._utils)
        self.has_ended = False
        """Whether a span has ended in this process."""
        self.accumulated: deque[tuple[int, dict[str, float]]] = deque(maxlen=_MAX_ACCUMULATED)
        """Intervals, each with what torch measured inside of it without a span: seconds, by name."""


_all_spans: Final[weakref.WeakSet[Spans]] = weakref.WeakSet()
"""Weak, since a recorder may listen only briefly, and fork hooks can't be unregistered."""


def _forget_all() -> None:
    # A forked child has its parent's stacks, but none of its parent's intervals.
    for spans in list(_all_spans):
        spans.forget()


os.register_at_fork(after_in_child=_forget_all)
