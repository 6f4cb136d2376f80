"""Takes events in the recorded program and has each in the journal before it returns.

Nothing here may harm the host: no exception of ours gets out, no lock of another process is waited for, and
nothing is opened before the first event.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import sys
from contextvars import Context, ContextVar
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from ledger.clock import monotonic_ns
from ledger.events.models import warm_up_models
from ledger.recording.event_writer import EventWriter
from ledger.recording.settings import Settings, settings_from_environment
from ledger_birth import process_exit
from ledger_birth.environment import new_session_id
from ledger_birth.line_writer import NOT_RECORDED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType

    from ledger.vocabulary import Activity, Counts, Outcome, Source

_LOG: Final = logging.getLogger("ledger")
_Callable = TypeVar("_Callable", bound="Callable[..., object]")


class _Innermost:
    """The type of `INNERMOST`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INNERMOST"


INNERMOST: Final = _Innermost()
"""As `parent`: the innermost `Recorder.stage` that is open in the current context."""

# Both are context variables, so that each thread and each asyncio task has its own.
_role: ContextVar[str | None] = ContextVar("ledger_role", default=None)
_innermost: ContextVar[tuple[EventWriter, int] | None] = ContextVar("ledger_innermost", default=None)


class Recorder:
    """Records the stages of this process into one session of one ledger.

    Every method returns at once and raises nothing; what could not be recorded is counted, written to
    the ledger as a gap once that is possible, and logged once as a warning of the logger `ledger`.
    """

    __slots__ = ("_on_close", "_settings", "_writer", "enabled")

    def __init__(self, settings: Settings | None, clock: Callable[[], int] = monotonic_ns) -> None:
        if settings:
            warm_up_models()
        self._settings = settings
        self._writer = EventWriter(settings, clock) if settings else None
        self._on_close: list[Callable[[], object]] = []
        self.enabled: Final = settings is not None
        if settings:
            process_exit.watch(self)

    @classmethod
    def from_environment(cls) -> Recorder:
        """Return this process's recorder for `COMPILE_LEDGER`; a disabled one where that is not set."""
        global _of_environment
        if _of_environment is not None:
            return _of_environment
        try:
            settings = settings_from_environment()
        except OSError as error:  # the working directory is gone
            _LOG.warning("compile-ledger records nothing: %s", error)
            settings = None
        if settings is None:
            return DISABLED
        _of_environment = cls(settings)
        return _of_environment

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        label: str | None = None,
        clock: Callable[[], int] = monotonic_ns,
    ) -> Recorder:
        """Return a recorder of a new session in the ledger at `path`, which need not exist yet.

        `clock` gives the monotonic time in nanoseconds; a test has `ledger.testing.FakeClock` for it.
        """
        return cls(Settings(Path(path).absolute(), new_session_id(), label, begins_session=True), clock)

    @property
    def session(self) -> str | None:
        """The session's id; None where recording is off."""
        return self._settings.session if self._settings else None

    def stage(
        self,
        stage: str,
        *,
        role: str | None = None,
        source: Source = "user",
        component: str | None = None,
        activity: Activity | None = None,
        parent: int | _Innermost | None = INNERMOST,
        data: Mapping[str, object] | None = None,
    ) -> Stage:
        """Return a context manager and decorator whose body is the interval.

        `activity` may be any word; left out, it is the vocabulary's, or else `startup`. The interval is
        `failed` when an exception leaves the body that was not already being handled where it began.
        """
        if self._writer is None:
            return _NO_STAGE
        return Stage(self, stage, role, source, component, activity, parent, data)

    def start(
        self,
        stage: str,
        *,
        role: str | None = None,
        source: Source = "user",
        component: str | None = None,
        activity: Activity | None = None,
        parent: int | _Innermost | None = INNERMOST,
        data: Mapping[str, object] | None = None,
        at_ns: int | None = None,
    ) -> int:
        """Begin an interval and return its id, which `stop` takes.

        `at_ns` is when it began, by the recorder's clock (`time.perf_counter_ns`), where that was before now.
        """
        writer = self._writer
        if writer is None:
            return NOT_RECORDED
        return writer.start(
            (stage, source, activity, role if role is not None else _role.get(), component),
            _innermost_of(writer) if isinstance(parent, _Innermost) else parent,
            data,
            at_ns,
        )

    def stop(
        self,
        interval: int,
        *,
        outcome: Outcome = "completed",
        error: str | None = None,
        data: Mapping[str, object] | None = None,
        at_ns: int | None = None,
    ) -> None:
        """End an interval; `error` is the class name of what failed it, `at_ns` is as for `start`."""
        if (writer := self._writer) is not None:
            writer.stop(interval, writer.clock() if at_ns is None else at_ns, outcome, error, data)

    @property
    def innermost(self) -> int | None:
        """The id of the innermost `stage` that is open in the current context; None where none is."""
        return None if self._writer is None else _innermost_of(self._writer)

    def role(self, role: str) -> RoleContext:
        """Return a context manager in which every interval without a role has this one."""
        return RoleContext(role)

    def claim(
        self,
        seconds: float,
        *,
        source: Source,
        role: str | None = None,
        component: str | None = None,
        stage: str | None = "torch_compile",
        counts: Counts = "interval",
        resolution_ns: int | None = None,
        text: str | None = None,
        interval: int | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Keep a duration, in seconds, that somebody reports, with the `text` it was read from.

        `resolution_ns` is the unit of its last digit: 10,000,000 for "16.77 s". `counts` says what it speaks
        of: one `interval`, an `addition` to an accumulator, its `total`, or a maximum over `ranks`.
        """
        if (writer := self._writer) is not None:
            role = role if role is not None else _role.get()
            writer.claim(
                seconds, source=source, role=role, component=component, stage=stage, counts=counts,
                resolution_ns=resolution_ns, text=text, interval=interval, data=data,
            )  # fmt: skip

    def milestone(self, name: str) -> None:
        """Note a moment: `engine_ready`, `first_token`, …."""
        if (writer := self._writer) is not None:
            writer.milestone(name)

    def gap(self, what: str, *, count: int = 1, detail: str | None = None) -> None:
        """Note something that could not be observed."""
        if (writer := self._writer) is not None:
            writer.gap(what, count, detail)

    def add_hook(self, name: str) -> None:
        """Note that an adapter listens at a place of the host program."""
        if (writer := self._writer) is not None:
            writer.add_hook(name)

    def hook_missing(self, name: str, reason: str) -> None:
        """Note that an adapter could not listen at a place of the host program, and why."""
        if (writer := self._writer) is not None:
            writer.hook_missing(name, reason)

    def name_process(self, name: str, rank: int | None = None) -> None:
        """Say what this process is called, and its rank, where its host program knows it; the last counts."""
        if (writer := self._writer) is not None:
            writer.name_process(name, rank)

    def process_failed(self) -> None:
        """Say that this process has failed, for a host that catches what failed it and then exits with 0."""
        if (writer := self._writer) is not None:
            writer.process_failed()

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once, just before this process says that it left, to record what it knows.

        For an adapter whose host program keeps totals of its own. A process that is killed calls nothing; a
        forked child, a process of its own, calls what its parent gave. In it no role and no stage is around.
        """
        if self._writer is not None:
            self._on_close.append(callback)

    def close(self, outcome: Outcome = "completed", *, session: Outcome | None = None) -> None:
        """Say that this process left, and how; and where the session began here, that it ended.

        `session` is the session's outcome, where it is not the process's.
        After this nothing is taken any more. A process that exits closes its recorders by itself.
        """
        self._close(outcome, session or outcome, is_exiting=False)

    def _close(self, outcome: Outcome, session: Outcome, *, is_exiting: bool) -> None:
        if (writer := self._writer) is None:
            return
        self._call_back(writer)
        self._writer = None
        process_exit.forget(self)
        journal = writer.leave(outcome, session, is_exiting=is_exiting)
        if journal is None:
            return
        try:
            # By name, and only now that the host has done its work: recording itself needs no SQLite.
            collector = import_module("ledger.storage.collector")
            collector.collect_own(writer.settings.ledger, journal, is_exiting=is_exiting)
        except Exception as error:
            _LOG.debug("compile-ledger leaves its journal to the next collector: %s", error)

    def _call_back(self, writer: EventWriter) -> None:
        # Taken out first: a callback may close the recorder itself.
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            try:
                Context().run(callback)
            except Exception as error:
                writer.gap("callback_failed", 1, f"{type(error).__name__}: {error}")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("completed" if error is None else "failed")

    def close_at_exit(self, outcome: Outcome) -> None:
        """For `ledger_birth.process_exit`: as `close`, without waiting for anybody else."""
        self._close(outcome, outcome, is_exiting=True)

    def after_fork(self) -> None:
        """Become the recorder of a forked child, which is a process of its own. `process_exit` calls it."""
        if self._writer is not None:
            self._writer = self._writer.forked()


def _innermost_of(writer: EventWriter) -> int | None:
    innermost = _innermost.get()
    # An interval of another recorder, or of the process that this one was forked from, is no parent.
    return innermost[1] if innermost is not None and innermost[0] is writer else None


class Stage:
    """One interval as a context manager, or one per call as a decorator."""

    __slots__ = ("_arguments", "_data", "_ended_ns", "_handled", "_recorder", "_token", "_writer", "interval")

    def __init__(
        self,
        recorder: Recorder,
        stage: str,
        role: str | None,
        source: Source,
        component: str | None,
        activity: Activity | None,
        parent: int | _Innermost | None,
        data: Mapping[str, object] | None,
    ) -> None:
        self._recorder = recorder
        self._arguments = (stage, role, source, component, activity, parent, data)
        self.interval = NOT_RECORDED

    def __enter__(self) -> Stage:
        self._writer = writer = self._recorder._writer  # pyright: ignore[reportPrivateUsage]
        if writer is None:
            return self
        stage, role, source, component, activity, parent, data = self._arguments
        self._handled = sys.exc_info()[1]
        self._data: dict[str, object] | None = None
        self._ended_ns: int | None = None
        self.interval = writer.start(
            (stage, source, activity, role if role is not None else _role.get(), component),
            _innermost_of(writer) if isinstance(parent, _Innermost) else parent,
            data,
        )
        # What could not be recorded is nobody's parent.
        if self.interval != NOT_RECORDED:
            self._token = _innermost.set((writer, self.interval))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (writer := self._writer) is None or self.interval == NOT_RECORDED:
            return
        # First of all, so that what a signal handler records from here on has its parent outside. (An
        # asynchronous generator may be left in another context than it was entered in, which is gone.)
        with contextlib.suppress(ValueError):
            _innermost.reset(self._token)
        at_ns = writer.clock() if self._ended_ns is None else self._ended_ns
        if error is None or error is self._handled:
            writer.stop(self.interval, at_ns, "completed", None, self._data)
        else:
            writer.stop(self.interval, at_ns, "failed", type(error).__name__, self._data)

    def note(self, **data: object) -> None:
        """Add data to the interval's stop; does nothing outside of the body."""
        if self.interval != NOT_RECORDED:
            self._data = {**(self._data or {}), **data}

    def mark_stopped(self) -> None:
        """Say that the interval ends now, for a body that has more to do before it is left."""
        if self._writer is not None and self.interval != NOT_RECORDED:
            self._ended_ns = self._writer.clock()

    def __call__(self, function: _Callable) -> _Callable:
        """Return a function, or coroutine function, of which each call is one interval."""
        if self is _NO_STAGE:
            return function
        recorder, arguments = self._recorder, self._arguments

        @functools.wraps(function)
        def staged(*args: object, **kwargs: object) -> object:
            with Stage(recorder, *arguments):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def staged_coroutine(*args: object, **kwargs: object) -> object:
            with Stage(recorder, *arguments):
                return await cast("Awaitable[object]", function(*args, **kwargs))

        return cast("_Callable", staged_coroutine if inspect.iscoroutinefunction(function) else staged)


class RoleContext:
    """In its body, intervals and claims without a role have this one."""

    __slots__ = ("_role", "_token")

    def __init__(self, role: str) -> None:
        self._role = role

    def __enter__(self) -> None:
        self._token = _role.set(self._role)

    def __exit__(self, *_: object) -> None:
        _role.reset(self._token)


_of_environment: Recorder | None = None
DISABLED: Final = Recorder(None)
"""The recorder that records nothing."""
_NO_STAGE: Final = Stage(DISABLED, "", None, "user", None, None, None, None)
