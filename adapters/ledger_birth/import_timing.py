"""Times the imports of this process, without a part in any of them.

CPython looks `_find_and_load` up in its import machinery for each module that is not there yet, and so does
`importlib.import_module`. Ours stands in its place and calls it: finders, loaders, specs, `sys.modules` and
`builtins.__import__` stay what they are. `importlib.reload` calls `_exec` in the same way.

Recorded is each outermost import of 10 ms or more, and inside of it those of 50 ms or of a twentieth of it.
What a module does between its imports is part of its own: where a process is killed in the middle, an
outermost import that was open for 10 ms has its start written if another import inside of it had ended since,
and what took 50 ms is written when it ends. A module that imports nothing for long leaves no trace by then.
"""

import sys
from _thread import get_ident

from ledger_birth.json_text import json_text
from ledger_birth.past_intervals import PastInterval, write_intervals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, Final

    from ledger_birth.line_writer import LineWriter

OUTERMOST_NS: "Final" = 10_000_000
NESTED_NS: "Final" = 50_000_000
NESTED_SHARE: "Final" = 20
"""Inside of an outermost import those are recorded, too, that took one of so many parts of it."""
_SHORTEST_NS: "Final" = OUTERMOST_NS // NESTED_SHARE
_NEVER: "Final" = 1 << 62

_HIDES_FRAMES: "Final" = sys.version_info >= (3, 11)
"""Python 3.10 keeps a traceback apart from its exception, where nothing can be taken out of it."""
_MACHINERY: "Final" = "<frozen importlib._bootstrap>"
"""The file that Python leaves out where it shows who imported what."""


class Import:
    """One import that goes on, or has ended."""

    __slots__ = ("around", "begun", "is_reload", "name", "outermost", "start_ns")

    def __init__(
        self, name: str, around: "Import | None", start_ns: int, outermost: "Outermost | None"
    ) -> None:
        self.name = name
        self.around = around
        self.start_ns = start_ns
        self.outermost = outermost
        """None once it has ended; an outermost one's own is itself."""
        self.begun: PastInterval | None = None
        """Its interval, once that is worth writing."""
        self.is_reload = False

    def interval(self) -> PastInterval:
        """Return its interval, which is a new one where nothing of it is written."""
        if self.begun is None:
            fields = b'"stage":"import","source":"python","activity":"startup","component":%b%b' % (
                json_text(self.name),
                b',"data":{"reload":true}' if self.is_reload else b"",
            )
            self.begun = PastInterval(fields, self.start_ns, self.around and self.around.interval())
        return self.begun


class Outermost(Import):
    """An import that is inside of no other one of its thread."""

    __slots__ = ("inside", "tell_ns")

    def __init__(self, name: str, start_ns: int) -> None:
        super().__init__(name, None, start_ns, self)
        self.tell_ns = start_ns + OUTERMOST_NS
        """When it is long enough for its start to be written."""
        self.inside: list[tuple[Import, int, str | None]] | None = None
        """Ended imports inside of it that may turn out to be long enough, with their ends and errors."""


class ImportTiming:
    """Times imports for one process, from `install` to `uninstall`."""

    def __init__(self, lines: "LineWriter", after_outermost: "Callable[[], object]") -> None:
        self.lines = lines
        self._after_outermost = after_outermost
        """Called where no import goes on any more in a thread."""
        self._innermost: dict[int, Import] = {}
        """The innermost import that goes on, by thread."""
        self._installed: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}

    def install(self) -> "dict[str, str]":
        """Begin; return what can't be timed, by its name, with the reason."""
        machinery = sys.modules.get("_frozen_importlib")
        missing: dict[str, str] = {}
        makers = {"_find_and_load": ("python.import", self.timed_import)}
        if _HIDES_FRAMES:
            makers["_exec"] = ("python.reload", self.timed_reload)
        for name, (hook, make) in makers.items():
            original = getattr(machinery, name, None)
            if original is None or getattr(getattr(original, "__code__", None), "co_argcount", 0) != 2:
                missing[hook] = f"importlib._bootstrap.{name} is not what it was"
                continue
            timed = make(original)
            timed.__code__ = _disguised(timed.__code__, name)
            timed.__name__ = timed.__qualname__ = name
            timed.__module__ = original.__module__
            self._installed[name] = original, timed
            setattr(machinery, name, timed)
        return missing

    def uninstall(self) -> None:
        """Put back what was replaced, where nobody else has replaced it since."""
        machinery = sys.modules["_frozen_importlib"]
        for name, (original, timed) in self._installed.items():
            if getattr(machinery, name, None) is timed:
                setattr(machinery, name, original)
        self._installed.clear()

    def after_fork(self, lines: "LineWriter") -> None:
        """In a forked child: what its parent was importing began in another process."""
        self.lines = lines
        for one in self._innermost.values():
            each: Import | None = one
            while each is not None:
                each.outermost = None
                each = each.around
        self._innermost.clear()

    def timed_import(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        """Return a function that times the original. Of each import that is short it makes little ado."""
        now_ns, thread_of, innermost, ended = self.lines.clock, get_ident, self._innermost, self._ended
        going_on = self._going_on

        def timed(name: str, import_: object) -> object:
            thread = thread_of()
            around = innermost.get(thread)
            outermost = None if around is None else around.outermost
            if outermost is None and around is not None:
                around = going_on(around)
                outermost = None if around is None else around.outermost
            if outermost is None or around is None:
                one = outermost = innermost[thread] = Outermost(name, now_ns())
            else:
                one = innermost[thread] = Import(name, around, now_ns(), outermost)
            try:
                module = original(name, import_)
            except BaseException as error:
                ended(one, thread, now_ns(), error)
                if _HIDES_FRAMES and error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                raise
            stop_ns = now_ns()
            if stop_ns - one.start_ns >= _SHORTEST_NS or stop_ns >= outermost.tell_ns or around is None:
                ended(one, thread, stop_ns, None)
            else:
                one.outermost = None
                innermost[thread] = around
            return module

        return timed

    def timed_reload(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        """Return a function that times the original, in which `importlib.reload` executes a module again."""
        now_ns, innermost, ended = self.lines.clock, self._innermost, self._ended
        going_on = self._going_on

        def timed(spec: object, module: object) -> object:
            thread = get_ident()
            name = str(getattr(spec, "name", ""))
            if (around := going_on(innermost.get(thread))) is None:
                one = innermost[thread] = Outermost(name, now_ns())
            else:
                one = innermost[thread] = Import(name, around, now_ns(), around.outermost)
            one.is_reload = True
            try:
                reloaded = original(spec, module)
            except BaseException as error:
                ended(one, thread, now_ns(), error)
                if error.__traceback__ is not None:
                    error.__traceback__ = error.__traceback__.tb_next
                raise
            ended(one, thread, now_ns(), None)
            return reloaded

        return timed

    @staticmethod
    def _going_on(one: "Import | None") -> "Import | None":
        """Return the innermost import that has not ended: greenlets leave them in any order."""
        while one is not None and one.outermost is None:
            one = one.around
        return one

    def _ended(self, one: Import, thread: int, stop_ns: int, error: "BaseException | None") -> None:
        """Write what is worth it, now that an import has ended."""
        if (outermost := one.outermost) is None:
            return  # the parent's of this process, which was forked in the middle of it
        one.outermost = None
        if one.around is None:
            self._innermost.pop(thread, None)
        else:
            self._innermost[thread] = one.around
        try:
            failure = None if error is None else type(error).__name__
            if one is outermost:
                if stop_ns - one.start_ns >= OUTERMOST_NS:
                    self._outermost_ended(outermost, stop_ns, failure)
                self._after_outermost()
            else:
                self._nested_ended(one, outermost, stop_ns, failure)
        except Exception as problem:
            self.lines.warn(f"an import is not recorded: {type(problem).__name__}: {problem}")

    def _nested_ended(self, one: Import, outermost: Outermost, stop_ns: int, failure: "str | None") -> None:
        length_ns = stop_ns - one.start_ns
        if length_ns >= NESTED_NS:
            # So were all those around it.
            intervals = [one.interval()]
            while (around := intervals[-1].parent) is not None:
                intervals.append(around)
            intervals[0].stop_ns, intervals[0].error = stop_ns, failure
            outermost.tell_ns = _NEVER
            write_intervals(self.lines, intervals[::-1])
            return
        if stop_ns >= outermost.tell_ns:
            outermost.tell_ns = _NEVER
            write_intervals(self.lines, [outermost.interval()])
        if length_ns * NESTED_SHARE >= stop_ns - outermost.start_ns:
            if outermost.inside is None:
                outermost.inside = []
            outermost.inside.append((one, stop_ns, failure))

    def _outermost_ended(self, one: Outermost, stop_ns: int, failure: "str | None") -> None:
        length_ns = stop_ns - one.start_ns
        interval = one.interval()
        interval.stop_ns, interval.error = stop_ns, failure
        intervals = [interval]
        if one.inside is not None:
            enough_ns = min(NESTED_NS, length_ns // NESTED_SHARE)
            for nested, nested_stop_ns, nested_failure in sorted(one.inside, key=_start_ns):
                if nested_stop_ns - nested.start_ns >= enough_ns:
                    inner = nested.interval()
                    inner.stop_ns, inner.error = nested_stop_ns, nested_failure
                    intervals.append(inner)
        write_intervals(self.lines, intervals)


def _start_ns(ended: "tuple[Import, int, str | None]") -> int:
    return ended[0].start_ns


def _disguised(code: "CodeType", name: str) -> "CodeType":
    """Return the code as one of the import machinery's, which Python leaves out of an import's traceback."""
    names = {"co_filename": _MACHINERY, "co_name": name}
    return code.replace(**names, co_qualname=name) if _HIDES_FRAMES else code.replace(**names)  # pyright: ignore
