"""Puts a watched function in the place of one of vLLM's, so that nothing of ours can harm its caller.

A watch is a generator. It runs up to its first `yield` before the watched function, and goes on after it with
what came of it. Its own exceptions are noted and stay inside; those of the watched function go their way.
"""

import functools
import inspect
import logging
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any, Final, NamedTuple

from ledger import Recorder

_LOG: Final = logging.getLogger("ledger")


class Call(NamedTuple):
    """A call of a watched function."""

    given: Mapping[str, Any]
    """The arguments, by the names of the parameters."""
    owner: Any
    """The object whose method was called; None for a function."""
    caller: FrameType | None
    """The calling frame; for context managers only."""


class Ended(NamedTuple):
    """What came of a call, or of the body of a context manager."""

    result: Any
    error: BaseException | None


HookPoint = Callable[[Call], Generator[None, Ended, None]]
"""For a context manager it yields twice: it goes on when the body has ended, and when all has."""

_Watching = Generator[None, Ended, None] | None


class Patcher:
    """Makes watched functions, and notes what goes wrong in a watch."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._warned = False

    def function(self, original: Callable[..., Any], watch: HookPoint) -> Callable[..., Any]:
        """Return a function that does what `original` does, watched."""
        names = tuple(inspect.signature(original).parameters)

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            watching = self.begin(watch, _call(names, args, kwargs, None))
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                self.go_on(watching, Ended(None, error), is_last=True)
                raise
            self.go_on(watching, Ended(result, None), is_last=True)
            return result

        return watched

    def context(self, original: Callable[..., Any], watch: HookPoint) -> Callable[..., Any]:
        """Return a function whose context managers do what those of `original` do, watched."""
        names = tuple(inspect.signature(original).parameters)

        @functools.wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            call = _call(names, args, kwargs, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            return _WatchedContext(self, watch, call, original(*args, **kwargs))

        return watched

    def begin(self, watch: HookPoint, call: Call) -> _Watching:
        """Let a watch run up to its first yield."""
        try:
            watching = watch(call)
            next(watching)
            return watching
        except Exception as error:
            self._note(watch, error)
            return None

    def go_on(self, watching: _Watching, ended: Ended, *, is_last: bool) -> bool:
        """Tell a watch how it ended; return whether the watch is still there."""
        if watching is None:
            return False
        try:
            watching.send(ended)
            if is_last:
                watching.close()
            return True
        except StopIteration:
            return False
        except Exception as error:
            self._note(watching, error)
            return False

    def _note(self, watch: object, error: Exception) -> None:
        name = getattr(watch, "__qualname__", "watch")
        self._recorder.gap("hook_failed", detail=f"{name}: {type(error).__name__}: {error}")
        if not self._warned:
            self._warned = True
            _LOG.warning("compile-ledger: a stage of vLLM is not recorded", exc_info=True)


class _WatchedContext(AbstractContextManager[Any]):
    def __init__(self, watcher: Patcher, watch: HookPoint, call: Call, original: Any) -> None:
        self._watcher = watcher
        self._watch = watch
        self._call: Call | None = call
        self._original = original
        self._watching: _Watching = None

    def __enter__(self) -> Any:
        assert self._call is not None
        self._watching = self._watcher.begin(self._watch, self._call)
        self._call = None  # and with it the frame
        try:
            return self._original.__enter__()
        except BaseException as error:
            self._go_on(error, is_last=False)
            self._go_on(error, is_last=True)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._go_on(error, is_last=False)
        left_by: BaseException | None = error
        try:
            is_suppressed = self._original.__exit__(kind, error, trace)
            left_by = None if is_suppressed else error
            return is_suppressed
        except BaseException as another:
            left_by = another
            raise
        finally:
            self._go_on(left_by, is_last=True)

    def _go_on(self, error: BaseException | None, *, is_last: bool) -> None:
        ended = Ended(None, error)
        if not self._watcher.go_on(self._watching, ended, is_last=is_last):
            self._watching = None


def _call(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any], caller: FrameType | None
) -> Call:
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return Call(given, given.get("self"), caller)
