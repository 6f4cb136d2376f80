"""Takes events in the recorded program and has each in the journal before it returns.

Nothing here may harm the host: no exception of ours gets out, no lock of another process is waited for, and
nothing is opened before the first event.
"""

from __future__ import annotations

import logging
import os
from contextvars import Context
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ledger.clock import monotonic_ns
from ledger.events.models import warm_up_models
from ledger.recording.contexts import INNERMOST, Innermost, RoleContext, Stage, current_role, innermost_of
from ledger.recording.event_writer import EventWriter, warn
from ledger.recording.line_encoding import text_of
from ledger.recording.settings import Settings, settings_from_environment
from ledger_birth import process_exit
from ledger_birth.accounting import NOT_RECORDED
from ledger_birth.birth import ledger_path
from ledger_birth.environment import new_session_id
from ledger_birth.host_exceptions import is_hosts_own

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from ledger.vocabulary import Activity, Counts, Outcome, Source

_LOG: Final = logging.getLogger("ledger")


class Recorder:
    """Records the stages of this process into one session of one ledger.

    Every method returns at once and raises nothing; what could not be recorded is counted, written to
    the ledger as a gap once that is possible, and logged once as a warning of the logger `ledger`.
    """

    __slots__ = ("_on_close", "_settings", "writer")

    def __init__(self, settings: Settings | None, clock: Callable[[], int] = monotonic_ns) -> None:
        if settings:
            warm_up_models()
        self._settings = settings
        self.writer = EventWriter(settings, clock) if settings else None
        """What writes the events; None where nothing is recorded, or nothing any more."""
        self._on_close: list[Callable[[], object]] = []
        if settings:
            process_exit.watch(self)

    @classmethod
    def from_environment(cls) -> Recorder:
        """Return this process's recorder for `COMPILE_LEDGER`; a disabled one where that is not set.

        After that one was closed it is another, which joins the session anew.
        """
        global _of_environment
        if _of_environment is not None:
            return _of_environment
        try:
            settings = settings_from_environment()
            if settings is not None:
                _of_environment = cls(settings)
                return _of_environment
        except BaseException as error:  # the working directory is gone, or no ledger can be there
            _nothing_recorded(error)
        return DISABLED

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        label: str | None = None,
        clock: Callable[[], int] = monotonic_ns,
    ) -> Recorder:
        """Return a recorder of a new session in the ledger at `path`, which need not exist yet.

        `clock` gives the monotonic time in nanoseconds; a test has `ledger.testing.FakeClock` for it. Where
        there can be no ledger at `path`, the log says so, and the recorder is a disabled one.
        """
        try:
            ledger = Path(ledger_path(os.fsdecode(path)))
            its_label = None if label is None else text_of(label)
            return cls(Settings(ledger, new_session_id(), its_label, begins_session=True), clock)
        except BaseException as error:
            _nothing_recorded(error)
            return DISABLED

    @property
    def enabled(self) -> bool:
        """Whether this recorder records: it is not disabled, and was not closed."""
        return self.writer is not None

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
        parent: int | Innermost | None = INNERMOST,
        data: Mapping[str, object] | None = None,
    ) -> Stage:
        """Return a context manager and decorator whose body is the interval.

        `activity` may be any word; left out, it is the vocabulary's, or else `startup`. The interval is
        `failed` when an exception leaves the body that was not already being handled where it began.
        """
        if self.writer is None:
            return _NO_STAGE
        return Stage(self, (stage, source, activity, role, component), parent, data)

    def start(
        self,
        stage: str,
        *,
        role: str | None = None,
        source: Source = "user",
        component: str | None = None,
        activity: Activity | None = None,
        parent: int | Innermost | None = INNERMOST,
        data: Mapping[str, object] | None = None,
        at_ns: int | None = None,
    ) -> int:
        """Begin an interval and return its id, which `stop` takes.

        `at_ns` is when it began, by the recorder's clock (`time.perf_counter_ns`), where that was before now.
        """
        writer = self.writer
        if writer is None:
            return NOT_RECORDED
        try:
            if role is None:
                role = current_role()
            if parent is INNERMOST:
                parent = innermost_of(writer)
            # `is` tells a type checker nothing, and a cast is a call.
            return writer.start((stage, source, activity, role, component), parent, data, at_ns)  # type: ignore[arg-type]
        except (RecursionError, MemoryError):
            # At the end of the stack, where nothing more can be called.
            writer.lines.not_written += 1
            writer.lines.is_behind = True
            return NOT_RECORDED

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
        if (writer := self.writer) is not None:
            try:
                writer.stop(interval, at_ns, outcome, error, data)
            except (RecursionError, MemoryError):
                writer.lines.not_written += 1
                writer.lines.is_behind = True

    @property
    def innermost(self) -> int | None:
        """The id of the innermost `stage` that is open in the current context; None where none is."""
        return None if self.writer is None else innermost_of(self.writer)

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
        if (writer := self.writer) is not None:
            try:
                role = role if role is not None else current_role()
                writer.claim(
                    seconds, source=source, role=role, component=component, stage=stage, counts=counts,
                    resolution_ns=resolution_ns, text=text, interval=interval, data=data,
                )  # fmt: skip
            except (RecursionError, MemoryError):
                writer.lines.not_written += 1
                writer.lines.is_behind = True

    def milestone(self, name: str) -> None:
        """Note a moment: `engine_ready`, `first_token`, …."""
        if (writer := self.writer) is not None:
            try:
                writer.milestone(name)
            except (RecursionError, MemoryError):
                writer.lines.not_written += 1
                writer.lines.is_behind = True

    def gap(self, what: str, *, count: int = 1, detail: str | None = None) -> None:
        """Note something that could not be observed."""
        if (writer := self.writer) is not None:
            try:
                writer.gap(what, count, detail)
            except (RecursionError, MemoryError):
                writer.lines.not_written += 1
                writer.lines.is_behind = True

    def add_hook(self, name: str) -> None:
        """Note that an adapter listens at a place of the host program."""
        if (writer := self.writer) is not None:
            writer.add_hook(name)

    def hook_missing(self, name: str, reason: str) -> None:
        """Note that an adapter could not listen at a place of the host program, and why."""
        if (writer := self.writer) is not None:
            writer.hook_missing(name, reason)

    def name_process(self, name: str, rank: int | None = None) -> None:
        """Say what this process is called, and its rank, where its host program knows it; the last counts."""
        if (writer := self.writer) is not None:
            writer.name_process(name, rank)

    def process_failed(self) -> None:
        """Say that this process has failed, for a host that catches what failed it and then exits with 0."""
        if (writer := self.writer) is not None:
            writer.process_failed()

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have `callback` called once, just before this process says that it left, to record what it knows.

        For an adapter whose host program keeps totals of its own. A process that is killed calls nothing; a
        forked child, a process of its own, calls what its parent gave. In it no role and no stage is around.
        """
        if self.writer is not None:
            self._on_close.append(callback)

    def close(self, outcome: Outcome = "completed", *, session: Outcome | None = None) -> None:
        """Say that this process left, and how; and where the session began here, that it ended.

        `session` is the session's outcome, where it is not the process's.
        After this nothing is taken any more. A process that exits closes its recorders by itself, and then
        still takes what its last threads and exit handlers record.
        """
        global _of_environment
        process_exit.after_fork()  # where Python did not see it, and nothing was recorded since
        writer = self.writer
        if writer is None:
            return
        self._call_back(writer)
        self.writer = None
        if _of_environment is self:
            _of_environment = None
        process_exit.forget(self)
        self._leave(writer, outcome, session or outcome, is_exiting=False)

    @staticmethod
    def _leave(writer: EventWriter, outcome: Outcome, session: Outcome, *, is_exiting: bool) -> None:
        try:
            journal = writer.leave(outcome, session, is_exiting=is_exiting)
            if journal is None:
                return
            # By name, and only now that the host has done its work: recording itself needs no SQLite.
            collector = import_module("ledger.storage.collector")
            collector.collect_own(writer.settings.ledger, journal, is_exiting=is_exiting)
        except BaseException as error:
            if is_hosts_own(error):
                raise
            _LOG.debug("compile-ledger leaves its journal to the next collector: %s", text_of(error))

    def _call_back(self, writer: EventWriter) -> None:
        # Taken out first: a callback may close the recorder itself.
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            try:
                Context().run(callback)
            except BaseException as error:
                if is_hosts_own(error):
                    raise
                writer.gap("callback_failed", 1, f"{type(error).__name__}: {text_of(error)}")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("completed" if error is None else "failed")

    def before_exit(self) -> None:
        """For `ledger_birth.process_exit`: call those who want to record what they know at the end."""
        if self.writer is not None:
            self._call_back(self.writer)

    def close_at_exit(self, outcome: Outcome) -> None:
        """For `ledger_birth.process_exit`: as `close`, without waiting for anybody else."""
        if self.writer is not None:
            self._leave(self.writer, outcome, outcome, is_exiting=True)

    def after_fork(self) -> None:
        """Become the recorder of a forked child, which is a process of its own. `process_exit` calls it."""
        if self.writer is not None:
            self.writer = self.writer.forked() or self.writer


def _nothing_recorded(error: BaseException) -> None:
    """Say why nothing is recorded. Raises the error where it is the host's own."""
    if is_hosts_own(error):
        raise error
    warn(f"nothing is recorded: {text_of(error)}")


_of_environment: Recorder | None = None
DISABLED: Final = Recorder(None)
"""The recorder that records nothing."""
_NO_STAGE: Final = Stage(DISABLED, ("", "user", None, None, None), None, None)
