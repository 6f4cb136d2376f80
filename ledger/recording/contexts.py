"""The contexts of the recorder: stages, which are intervals, and roles, which intervals are charged to.

One object may be entered again, inside of itself or by several threads and tasks, and left where it was not
entered: an asynchronous generator that is closed late, in another context; a generator that is collected,
in whatever thread runs then. So nothing is put back by a token: each entry has what was around it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from ledger_birth.accounting import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from ledger.recording.event_writer import EventWriter
    from ledger.recording.recorder import Recorder
    from ledger.recording.start_templates import Description

_Callable = TypeVar("_Callable", bound="Callable[..., object]")
_Entry = TypeVar("_Entry", bound="_Entered")


class Innermost:
    """The type of `INNERMOST`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INNERMOST"


INNERMOST: Final = Innermost()
"""As `parent`: the innermost `Recorder.stage` that is open in the current context."""


class _Entered:
    """A context that was entered, and perhaps left again."""

    __slots__ = ("context", "is_open")

    def __init__(self, context: object) -> None:
        self.context = context
        self.is_open = True


class _EnteredStage(_Entered):
    __slots__ = ("around", "data", "ended_ns", "handled", "interval", "writer")

    def __init__(
        self, context: Stage, around: _EnteredStage | None, writer: EventWriter, interval: int
    ) -> None:
        super().__init__(context)
        self.around = around
        self.writer = writer
        self.interval = interval
        self.handled = sys.exc_info()[1]
        self.data: dict[str, object] | None = None
        self.ended_ns: int | None = None


class _EnteredRole(_Entered):
    __slots__ = ("around", "holds", "role", "token")

    def __init__(self, context: RoleContext, around: _EnteredRole | None, role: str) -> None:
        super().__init__(context)
        self.around = around
        self.role = role
        self.holds = True
        """A task that is begun in its body keeps a role to its end; but not one that was left elsewhere."""
        self.token: Token[_EnteredRole | None] = _role.set(self)


# Both are context variables, so that each thread and each asyncio task has its own.
_role: ContextVar[_EnteredRole | None] = ContextVar("ledger_role", default=None)
_stage: ContextVar[_EnteredStage | None] = ContextVar("ledger_innermost", default=None)


class _Entries(Generic[_Entry]):
    """The entries of one context object that are not left yet."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: list[_Entry] = []

    def add(self, entry: _Entry) -> None:
        self._open.append(entry)

    def innermost(self, context: object, entry: _Entry | None) -> _Entry | None:
        """Return the innermost entry of the object in this context; else the last one elsewhere, if any."""
        while entry is not None and not (entry.is_open and entry.context is context):
            entry = cast("_Entry | None", getattr(entry, "around", None))
        return entry or (self._open[-1] if self._open else None)

    def remove(self, entry: _Entry) -> None:
        entry.is_open = False
        with suppress(ValueError):  # another thread that leaves the same object was quicker
            self._open.remove(entry)


def current_role() -> str | None:
    """Return the role that holds in the current context."""
    return None if _role.get() is None or (entry := _current_role()) is None else entry.role


def _current_role() -> _EnteredRole | None:
    entry = _role.get()
    while entry is not None and not entry.holds:
        entry = entry.around
    return entry


def innermost_of(writer: EventWriter) -> int | None:
    """Return the id of the innermost open stage in the current context.

    An interval of another recorder, or of the process that this one was forked from, is none.
    """
    entry = _stage.get()
    while entry is not None and not (
        entry.is_open and entry.writer is writer and entry.interval != NOT_RECORDED
    ):
        entry = entry.around
    return None if entry is None else entry.interval


class Stage:
    """One interval as a context manager, or one per call as a decorator."""

    __slots__ = ("_data", "_described", "_entries", "_parent", "_recorder", "interval")

    def __init__(
        self,
        recorder: Recorder,
        described: Description,
        parent: int | Innermost | None,
        data: Mapping[str, object] | None,
    ) -> None:
        self._recorder = recorder
        self._described = described
        self._parent = parent
        self._data = data
        self._entries: _Entries[_EnteredStage] = _Entries()
        self.interval = NOT_RECORDED
        """The id of the interval that was begun last."""

    def __enter__(self) -> Stage:
        if (writer := self._recorder.writer) is None:
            return self
        try:
            around = _stage.get()
            while around is not None and not around.is_open:
                around = around.around
            described, parent = self._described, self._parent
            if described[3] is None:
                described = (*described[:3], current_role(), described[4])
            self.interval = interval = writer.start(
                described, innermost_of(writer) if isinstance(parent, Innermost) else parent, self._data
            )
            entry = _EnteredStage(self, around, writer, interval)
            self._entries.add(entry)
            _stage.set(entry)
        except (RecursionError, MemoryError):
            writer.lines.not_written += 1
            writer.lines.is_behind = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            innermost = _stage.get()
            if (entry := self._entries.innermost(self, innermost)) is None:
                return
            # First of all, so that what a signal handler records from here on has its parent outside.
            self._entries.remove(entry)
            if entry is innermost:
                _stage.set(entry.around)
            if self._recorder.writer is None:
                return  # it was closed meanwhile
            if error is None or error is entry.handled:
                entry.writer.stop(entry.interval, entry.ended_ns, "completed", None, entry.data)
            else:
                entry.writer.stop(entry.interval, entry.ended_ns, "failed", type(error).__name__, entry.data)
        except (RecursionError, MemoryError):
            if (writer := self._recorder.writer) is not None:
                writer.lines.not_written += 1
                writer.lines.is_behind = True

    def note(self, **data: object) -> None:
        """Add data to the interval's stop; does nothing outside of the body."""
        if (entry := self._entries.innermost(self, _stage.get())) is not None:
            entry.data = {**(entry.data or {}), **data}

    def abandon(self) -> None:
        """Leave without a stop: what begins from now on is not within. For a body that is never left."""
        innermost = _stage.get()
        if (entry := self._entries.innermost(self, innermost)) is not None:
            self._entries.remove(entry)
            if entry is innermost:
                _stage.set(entry.around)

    def mark_stopped(self) -> None:
        """Say that the interval ends now, for a body that has more to do before it is left."""
        if (entry := self._entries.innermost(self, _stage.get())) is not None:
            entry.ended_ns = entry.writer.now()

    def __call__(self, function: _Callable) -> _Callable:
        """Return a function, or coroutine function, of which each call is one interval."""
        if self._recorder.writer is None:
            return function
        arguments = self._recorder, self._described, self._parent, self._data

        @functools.wraps(function)
        def staged(*args: object, **kwargs: object) -> object:
            with Stage(*arguments):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def staged_coroutine(*args: object, **kwargs: object) -> object:
            with Stage(*arguments):
                return await cast("Awaitable[object]", function(*args, **kwargs))

        return cast("_Callable", staged_coroutine if inspect.iscoroutinefunction(function) else staged)


class RoleContext:
    """In its body, intervals and claims without a role have this one."""

    __slots__ = ("_entries", "_role")

    def __init__(self, role: str) -> None:
        self._role = role
        self._entries: _Entries[_EnteredRole] = _Entries()

    def __enter__(self) -> None:
        # At the end of the stack there is no room for it.
        with suppress(RecursionError, MemoryError):
            self._entries.add(_EnteredRole(self, _current_role(), self._role))

    def __exit__(self, *_: object) -> None:
        with suppress(RecursionError, MemoryError):
            innermost = _role.get()
            if (entry := self._entries.innermost(self, innermost)) is None:
                return
            self._entries.remove(entry)
            entry.holds = False
            if entry is innermost:
                with suppress(ValueError):  # this is a copy of the context that it was entered in
                    _role.reset(entry.token)
                    entry.holds = True
