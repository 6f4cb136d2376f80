"""The intervals of an engine's stages, and which of them are open in each thread.

What is open in a thread tells a stage which part of the model it belongs to, and a log line which interval it
speaks of: an engine writes a line while the stage that it times is open, or just after.
"""

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from ledger import Recorder
from ledger.adapters import WAITING
from ledger_engine.model_parts import WHOLE, Part
from ledger_engine.patching import Call, Ended, HookPoint
from ledger_engine.processor_wait import ProcessorTime, processor_time


class OpenStage:
    """A stage that has begun, in the thread in which it did."""

    __slots__ = ("also", "began_ns", "context", "graphs", "interval", "noted", "part", "processor", "stage")

    def __init__(self, stage: str, part: Part) -> None:
        self.stage = stage
        self.part = part
        self.began_ns = 0
        self.context: Any = None
        """The recorder's own context manager; None for an interval that is nobody's parent."""
        self.interval = -1
        self.also: list[int] = []
        """Further intervals that the engine counts into this one."""
        self.graphs: dict[str, list[int]] = {}
        """Of a backend: the graphs that were compiled or loaded in it, by range."""
        self.noted: dict[str, object] = {}
        self.processor: ProcessorTime | None = None
        """Of an engine's outermost stage: the times of its thread when it began."""

    def mark_stopped(self) -> None:
        """Say that the stage is over now, although its end is written down later."""
        if self.context is not None:
            self.context.mark_stopped()

    def note(self, **data: object) -> None:
        """Keep what becomes known of the stage for its end."""
        self.noted.update(data)


class _Thread(threading.local):
    def __init__(self) -> None:
        self.open: list[OpenStage] = []
        self.last: dict[str, OpenStage] = {}
        """The stage that ended last, by name."""


class Stages:
    """The stages of this process."""

    def __init__(
        self,
        recorder: Recorder,
        activities: Mapping[str, str],
        before_first: Callable[[], None] | None = None,
    ) -> None:
        """`activities` are of the stages that are not in ledger's vocabulary.

        `before_first` is called once, before this process's first stage.
        """
        self.recorder = recorder
        self._activities = activities
        self._before_first = before_first
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
    ) -> OpenStage:
        """Begin a stage; without a `part` it belongs to that of the innermost stage around it.

        Not every stage may be a parent: what starts inside of `dynamo` may well end after it. Such a one may
        have begun at `at_ns`, before it was known to be one.
        """
        if (before_first := self._before_first) is not None:
            self._before_first = None
            before_first()
        if part is None:
            part = self._thread.open[-1].part if self._thread.open else WHOLE
        begun = OpenStage(stage, part)
        described: Mapping[str, Any] = {
            "role": part.role,
            "component": part.component,
            "source": source,
            "activity": self._activities.get(stage),
            "data": data,
        }
        if is_parent:
            begun.context = self.recorder.stage(stage, **described).__enter__()
            begun.interval = begun.context.interval
        else:
            begun.interval = self.recorder.start(stage, **described, at_ns=at_ns)
        # After the event, so that what is said to begin now is within it.
        begun.began_ns = time.perf_counter_ns()
        if source == "engine" and stage != WAITING and is_parent and not self._thread.open:
            begun.processor = processor_time()
        self._thread.open.append(begun)
        return begun

    def end(self, begun: OpenStage, error: BaseException | None = None) -> None:
        """End a stage: failed, where an exception left it."""
        if begun in self._thread.open:
            if begun.processor is not None and (now := processor_time()) is not None:
                begun.note(**now.since(begun.processor))
            # With what is still open inside it: the hook of that one broke.
            at = self._thread.open.index(begun)
            for inside in reversed(self._thread.open[at + 1 :]):
                if inside.context is not None:
                    inside.context.abandon()
            del self._thread.open[at:]
        self._thread.last[begun.stage] = begun
        if begun.context is not None:
            begun.context.note(**begun.noted)
            begun.context.__exit__(type(error) if error else None, error, None)
            return
        data = begun.noted or None
        if error is None:
            self.recorder.stop(begun.interval, data=data)
        else:
            failed = type(error).__name__
            self.recorder.stop(begun.interval, outcome="failed", error=failed, data=data)

    def innermost(self, stage: str) -> OpenStage | None:
        """Return the innermost open stage of a name in this thread."""
        return next((begun for begun in reversed(self._thread.open) if begun.stage == stage), None)

    def latest(self, stage: str) -> OpenStage | None:
        """Return the stage of a name that a log line is about now: the innermost open one, else the last.

        What ended before the compile that goes on now began is of another part of the model.
        """
        if (begun := self.innermost(stage)) is not None:
            return begun
        compiling, last = self.innermost("torch_compile"), self._thread.last.get(stage)
        if compiling is not None and last is not None and last.began_ns < compiling.began_ns:
            return None
        return last

    def hook(
        self,
        stage: str,
        part: Callable[[], Part | None] = lambda: None,
        on_error: Callable[[BaseException], None] | None = None,
    ) -> HookPoint:
        """Return a hook that records a stage of the engine's; `part` is asked when it begins."""

        def hook(call: Call) -> Generator[None, Ended, None]:
            if self.innermost(stage) is not None:  # a class that calls its base class's method
                yield
                return
            begun = self.begin(stage, "engine", part())
            ended = yield
            self.end(begun, ended.error)
            if ended.error is not None and on_error is not None:
                on_error(ended.error)

        hook.__qualname__ = f"Stages.{stage}"
        return hook

    def _forget(self) -> None:
        self._thread = _Thread()
