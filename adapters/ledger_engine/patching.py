"""Puts a hooked function in the place of an engine's own, so that nothing of ours can harm its caller.

A hook is a generator. It runs up to its first `yield` before the hooked function, and goes on after it with
what came of it. Its own exceptions are noted and stay inside; those of the hooked function go their way.

Of a coroutine function, the hook goes on when the coroutine has ended. Of a function in `functools.lru_cache`
only those calls are hooked that the cache has no answer to.
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
from ledger_engine.hook_targets import HookTarget

_LOG: Final = logging.getLogger("ledger")
_BINDINGS: Final[tuple[Any, ...]] = (classmethod, staticmethod)
"""What a class may have around a function of its own, and must have around the hooked one."""


class Call(NamedTuple):
    """A call of a hooked function."""

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


class Replacement(NamedTuple):
    """What a hook returns where its function's caller is to get something else than the result."""

    result: Any


HookPoint = Callable[[Call], Generator[None, Ended, Replacement | None]]
"""For a context manager it yields twice: it goes on when the body has ended, and when all has."""

_RunningHook = Generator[None, Ended, Replacement | None] | None


class _Installed(NamedTuple):
    """A hooked function in its place."""

    target: HookTarget
    owner: Any
    name: str
    hooked: Any
    original: Any


class Patcher:
    """Makes hooked functions, and notes what goes wrong in a hook."""

    def __init__(
        self, recorder: Recorder, engine: str, *, is_compiling: Callable[[], bool] | None = None
    ) -> None:
        """`engine` is its name in messages.

        `is_compiling` is for functions that Dynamo may trace: while it does, it sees the original alone.
        """
        self._recorder = recorder
        self._engine = engine
        self._is_compiling = is_compiling
        self._installed: list[_Installed] = []
        self._warned = False

    def install(self, owner: Any, name: str, target: HookTarget, hook: HookPoint) -> str | None:
        """Put a hook in the place of a function of a module or class; return why not, None where it is."""
        # A method that a class only inherits is hooked where it is defined.
        found: Any = getattr(owner, "__dict__", {}).get(name)
        binding = next((kind for kind in _BINDINGS if isinstance(found, kind)), None)
        original: Any = found if binding is None else found.__func__
        reason = target.fault(inspect.signature(original).parameters if callable(original) else None)
        if reason is not None:
            return reason
        if target.is_context:
            hooked = self.context(original, hook)
        elif (cached := getattr(original, "cache_parameters", None)) is not None:
            function: Callable[..., Any] = vars(original)["__wrapped__"]
            hooked = functools.lru_cache(**cached())(self.function(function, hook))
        else:
            hooked = self.function(original, hook, (owner, name) if target.is_once else None)
        placed = hooked if binding is None else binding(hooked)
        setattr(owner, name, placed)
        self._installed.append(_Installed(target, owner, name, placed, found))
        return None

    def uninstall(self, is_over: Callable[[HookTarget], bool]) -> None:
        """Put the originals of some targets back: those that need not be hooked any more.

        Where somebody else has replaced the hooked function meanwhile, it stays as it is.
        """
        for installed in [installed for installed in self._installed if is_over(installed.target)]:
            self._installed.remove(installed)
            if getattr(installed.owner, "__dict__", {}).get(installed.name) is installed.hooked:
                setattr(installed.owner, installed.name, installed.original)

    def function(
        self, original: Callable[..., Any], hook: HookPoint, only_once: tuple[Any, str] | None = None
    ) -> Callable[..., Any]:
        """Return a function that does what `original` does, hooked.

        `only_once` is where it is put back after the first call: an owner, and the name there.
        """
        names = tuple(inspect.signature(original).parameters)
        if inspect.iscoroutinefunction(original):
            return self._coroutine_function(original, names, hook)
        is_compiling = self._is_compiling

        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            if is_compiling is not None and is_compiling():
                return original(*args, **kwargs)
            if only_once is not None and getattr(*only_once, None) is hooked:
                setattr(*only_once, original)
            running = self.begin(hook, _call(names, args, kwargs, None))
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                self.resume(running, Ended(None, error), is_last=True)
                raise
            replacement = self.resume(running, Ended(result, None), is_last=True)
            return replacement.result if isinstance(replacement, Replacement) else result

        return hooked

    def _coroutine_function(
        self, original: Callable[..., Any], names: tuple[str, ...], hook: HookPoint
    ) -> Callable[..., Any]:
        @functools.wraps(original)
        async def hooked(*args: Any, **kwargs: Any) -> Any:
            running = self.begin(hook, _call(names, args, kwargs, None))
            try:
                result = await original(*args, **kwargs)
            except BaseException as error:
                self.resume(running, Ended(None, error), is_last=True)
                raise
            self.resume(running, Ended(result, None), is_last=True)
            return result

        return hooked

    def context(self, original: Callable[..., Any], hook: HookPoint) -> Callable[..., Any]:
        """Return a function whose context managers do what those of `original` do, hooked."""
        names = tuple(inspect.signature(original).parameters)

        @functools.wraps(original)
        def hooked(*args: Any, **kwargs: Any) -> Any:
            call = _call(names, args, kwargs, sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            return _HookedContext(self, hook, call, original(*args, **kwargs))

        return hooked

    def begin(self, hook: HookPoint, call: Call) -> _RunningHook:
        """Let a hook run up to its first yield."""
        try:
            running = hook(call)
            next(running)
            return running
        except Exception as error:
            self._note(hook, error)
            return None

    def resume(self, running: _RunningHook, ended: Ended, *, is_last: bool) -> Replacement | bool | None:
        """Tell a hook how it ended; return whether the hook is still there, or what it returned."""
        if running is None:
            return False
        try:
            running.send(ended)
            if is_last:
                running.close()
            return True
        except StopIteration as stop:
            return stop.value
        except Exception as error:
            self._note(running, error)
            return False

    def _note(self, hook: object, error: Exception) -> None:
        name = getattr(hook, "__qualname__", "hook")
        self._recorder.gap("hook_failed", detail=f"{name}: {type(error).__name__}: {error}")
        if not self._warned:
            self._warned = True
            _LOG.warning("compile-ledger: a stage of %s is not recorded", self._engine, exc_info=True)


class _HookedContext(AbstractContextManager[Any]):
    def __init__(self, patcher: Patcher, hook: HookPoint, call: Call, original: Any) -> None:
        self._patcher = patcher
        self._hook = hook
        self._call: Call | None = call
        self._original = original
        self._running: _RunningHook = None

    def __enter__(self) -> Any:
        assert self._call is not None
        self._running = self._patcher.begin(self._hook, self._call)
        self._call = None  # and with it the frame
        try:
            return self._original.__enter__()
        except BaseException as error:
            self._resume(error, is_last=False)
            self._resume(error, is_last=True)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._resume(error, is_last=False)
        left_by: BaseException | None = error
        try:
            is_suppressed = self._original.__exit__(kind, error, trace)
            left_by = None if is_suppressed else error
            return is_suppressed
        except BaseException as another:
            left_by = another
            raise
        finally:
            self._resume(left_by, is_last=True)

    def _resume(self, error: BaseException | None, *, is_last: bool) -> None:
        ended = Ended(None, error)
        if self._patcher.resume(self._running, ended, is_last=is_last) is not True:
            self._running = None


def _call(
    names: tuple[str, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any], caller: FrameType | None
) -> Call:
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return Call(given, given.get("self"), caller)


def does_nothing(function: Any) -> bool:
    """Return whether a function calls nothing and reads nothing: `pass`, or `return 0`."""
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code is not None and not code.co_names
