"""The intervals of vLLM's stages, and which of them are open in each thread.

What is open in a thread tells a stage which part of the model it belongs to, and a log line which interval it
speaks of: vLLM writes a line while the stage that it times is open, or just after.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ledger import Recorder
from ledger_vllm.parts import WHOLE, Part

_ACTIVITIES: Final = {
    "aot_read": "compile",
    "cache_key": "compile",
    "device_init": "startup",
    "executor_init": "startup",
    "engine_start": "startup",
    "memory_profile": "startup",
}
"""Of the stages that are in nobody's vocabulary but this adapter's."""


class Begun:
    """A stage that has begun, in the thread in which it did."""

    __slots__ = ("also", "began_ns", "context", "graphs", "interval", "part", "said", "stage")

    def __init__(self, stage: str, part: Part) -> None:
        self.stage = stage
        self.part = part
        self.began_ns = 0
        self.context: Any = None
        """The recorder's own context manager; None for an interval that is nobody's parent."""
        self.interval = -1
        self.also: list[int] = []
        """Further intervals that vLLM counts into this one."""
        self.graphs: dict[str, list[int]] = {}
        """Of a backend: the graphs that were compiled or loaded in it, by range."""
        self.said: dict[str, object] = {}

    def mark_stopped(self) -> None:
        """Say that the stage is over now, although its end is written down later."""
        if self.context is not None:
            self.context.mark_stopped()

    def note(self, **data: object) -> None:
        """Keep what becomes known of the stage for its end."""
        self.said.update(data)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.open: list[Begun] = []
        self.last: dict[str, Begun] = {}
        """The stage that ended last, by name."""


class Stages:
    """The stages of this process."""

    def __init__(self, recorder: Recorder, before_first: Callable[[], None]) -> None:
        """`before_first` is called once, before this process's first stage."""
        self.recorder = recorder
        self._before_first: Callable[[], None] | None = before_first
        self._thread = _Thread()
        # A forked child has its parent's stack, but none of its parent's intervals.
        os.register_at_fork(after_in_child=self._forget)

    def begin(
        self,
        stage: str,
        source: Any,
        part: Part | None = None,
        data: Mapping[str, object] | None = None,
        *,
        is_parent: bool = True,
        at_ns: int | None = None,
    ) -> Begun:
        """Begin a stage; without a `part` it belongs to that of the innermost stage around it.

        Not every stage may be a parent: what starts inside of `dynamo` may well end after it. Such a one may
        have begun at `at_ns`, before it was known to be one.
        """
        if (before_first := self._before_first) is not None:
            self._before_first = None
            before_first()
        if part is None:
            part = self._thread.open[-1].part if self._thread.open else WHOLE
        begun = Begun(stage, part)
        known: Mapping[str, Any] = {
            "role": part.role,
            "component": part.component,
            "source": source,
            "activity": _ACTIVITIES.get(stage),
            "data": data,
        }
        if is_parent:
            begun.context = self.recorder.stage(stage, **known).__enter__()
            begun.interval = begun.context.interval
        else:
            begun.interval = self.recorder.start(stage, **known, at_ns=at_ns)
        # After the event, so that what is said to begin now is within it.
        begun.began_ns = time.perf_counter_ns()
        self._thread.open.append(begun)
        return begun

    def end(self, begun: Begun, error: BaseException | None = None) -> None:
        """End a stage: failed, where an exception left it."""
        if begun in self._thread.open:
            # With what is still open inside it: the watch of that one broke.
            del self._thread.open[self._thread.open.index(begun) :]
        self._thread.last[begun.stage] = begun
        if begun.context is not None:
            begun.context.note(**begun.said)
            begun.context.__exit__(type(error) if error else None, error, None)
            return
        data = begun.said or None
        if error is None:
            self.recorder.stop(begun.interval, data=data)
        else:
            failed = type(error).__name__
            self.recorder.stop(begun.interval, outcome="failed", error=failed, data=data)

    def innermost(self, stage: str) -> Begun | None:
        """Return the innermost open stage of a name in this thread."""
        return next((begun for begun in reversed(self._thread.open) if begun.stage == stage), None)

    def spoken_of(self, stage: str) -> Begun | None:
        """Return the stage of a name that a line speaks of now: the innermost open one, else the last.

        What ended before the compile that goes on now began is of another part of the model.
        """
        if (begun := self.innermost(stage)) is not None:
            return begun
        compiling, last = self.innermost("torch_compile"), self._thread.last.get(stage)
        if compiling is not None and last is not None and last.began_ns < compiling.began_ns:
            return None
        return last

    def _forget(self) -> None:
        self._thread = _Thread()
