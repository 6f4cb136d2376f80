"""Tells the start-ups of a log apart: what belongs to one, where the next one begins, and how each ended.

The processes of a start-up introduce themselves, each once: its front end by its version and its arguments,
then its engines, each by a first line of its own. So the next one begins with an introduction

- that was made already, by a process of that id or of that name: a service starts again, and in a container
  its processes have the ids of those before them;
- of a front end, after this start-up was ready, failed or shut down: another program has its turn;
- that follows other lines but no introduction, since the log has not the beginning of what they tell of. (A
  front end says more before its engine comes: so an engine's is one only where all was over, or where that
  engine has spoken.)

Engines that run in parallel have names of their own (`EngineCore_DP1`), and so have their front ends where
each has one: they introduce themselves beside one another. Of two programs that write into one log at the
same time nothing tells whose engine is whose.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger import Event
from ledger_vllm.messages import Told
from ledger_vllm_log.message_patterns import Heard, Meaning, Word
from ledger_vllm_log.processes import Place, Process
from ledger_vllm_log.records import Record, Speaker

_OF_MANY: Final = re.compile(r".*Actor")
"""Ray's names for processes are those of their class."""
_BEGINS_INSIDE: Final = "it begins inside a start-up: what was before its first line is not known"
_ENDS: Final = "it ends here: whether this process went on, and how, is not known"


class _Known(NamedTuple):
    process: Process
    seen_ns: int


class _Said(NamedTuple):
    """What a process said of the start-up, and when."""

    process: Process
    at_ns: int


class Start:
    """One start-up of a program, over all its processes: one session."""

    def __init__(self, session: str, ahead_ns: int | None) -> None:
        """`ahead_ns` is by how much the wall clock was ahead of the stamps, as far as the log has said."""
        self.ahead_ns = ahead_ns
        self._says_its_time = False
        self._session: Final = session
        self._processes: dict[str, _Known] = {}
        self._introduced: set[tuple[Word, str]] = set()
        self._speakers: set[str] = set()
        self._first: _Said | None = None
        self._version: str | None = None
        self._engines: set[str] = set()
        self._only_introduced = True
        """Nothing was said but introductions."""
        self._is_ready = False
        self._made: set[str] = set()
        """Processes whose engine was made."""
        self._completed: _Said | None = None
        self._failed: _Said | None = None
        self._shut_down: _Said | None = None
        self._last: _Said | None = None
        self._latest_ns = 0

    def is_before(self, meaning: Meaning, speaker: Speaker) -> bool:
        """Tell whether what is said now belongs to another start-up, after this one."""
        if not isinstance(meaning, Heard) or not meaning.is_introduction:
            return False
        names = _names_of(speaker)
        if not self._introduced.isdisjoint((meaning.what, name) for name in names):
            # Before processes had names, parallel engines introduced themselves one right after the other.
            return not (meaning.what == "engine" and speaker.pid is None and self._only_introduced)
        is_done = (self._completed or self._failed or self._shut_down) is not None
        if meaning.what == "engine":
            return not self._introduced and (is_done or not self._speakers.isdisjoint(names))
        return is_done or (not self._introduced and self._last is not None)

    def goes_on(self, at_ns: int) -> None:
        """Take the time of a line that says nothing else: until then the log has not ended."""
        self._latest_ns = max(self._latest_ns, at_ns)

    def take(self, record: Record, at_ns: int, place: Place, meaning: Meaning) -> Iterator[Event]:
        """Yield what a record makes known."""
        if record.wall_ns is not None and not self._says_its_time:
            self.ahead_ns, self._says_its_time = record.wall_ns - at_ns, True
        if isinstance(meaning, Heard):
            yield from self._hear(meaning, record.speaker, at_ns)
            return
        self._only_introduced = False
        said = self._said_by(record.speaker, at_ns)
        if isinstance(meaning, Told):
            yield from said.process.tells(record, at_ns, place, meaning)
            return
        yield from said.process.states(record, at_ns, place, tuple(meaning))
        if any(one.stage == "engine_init" for one in meaning):
            self._made.add(_id_of(record.speaker))
            if not self._is_ready and self._engines <= self._made:
                self._completed = said

    def fails(self, speaker: Speaker) -> None:
        """Take a failure without a stamp: it came after the last line that had one."""
        if self._last is not None:
            self._fail(self._said_by(speaker, self._last.at_ns))

    def end(self, *, is_followed: bool) -> Iterator[Event]:
        """Yield what was to wait for the end; `is_followed` is whether the log has a later start-up."""
        if self._last is None:
            return
        if self._first is not None:
            wall_ns = None if self.ahead_ns is None else max(0, self._first.at_ns + self.ahead_ns)
            yield self._first.process.starts_session(self._version, self._first.at_ns, wall_ns)
        for known in self._processes.values():
            yield from known.process.end()
        if self._first is None:
            process, seen_ns = next(iter(self._processes.values()))
            yield process.notes("log_begins", seen_ns, _BEGINS_INSIDE)
        if self._failed is not None:
            yield self._failed.process.ends_session("failed", self._failed.at_ns)
        elif self._completed is not None:
            yield self._completed.process.ends_session("completed", self._completed.at_ns)
        elif self._shut_down is not None:  # before it was ready
            yield self._shut_down.process.ends_session("failed", self._shut_down.at_ns)
        for process, seen_ns in self._processes.values():
            if process.has_failed:
                yield process.leaves("failed")
            elif self._shut_down is not None:
                yield process.leaves("completed")
            elif is_followed:
                yield process.is_lost()
            elif self._failed is None:
                yield process.notes("log_ends", self._latest_ns, _ENDS)
            yield process.joined(seen_ns, self.ahead_ns)

    def _hear(self, heard: Heard, speaker: Speaker, at_ns: int) -> Iterator[Event]:
        if heard.what == "raised":
            if (known := self._processes.get(_id_of(speaker))) is not None:
                known.process.raised(heard.named)
            return
        said = self._said_by(speaker, at_ns)
        if heard.is_introduction:
            self._introduced |= {(heard.what, name) for name in _names_of(speaker)}
            self._first = self._first or said
            if heard.what != "arguments":
                self._version = self._version or heard.named
            if heard.what == "engine":
                self._engines.add(_id_of(speaker))
            return
        self._only_introduced = False
        if heard.what == "ready" and not self._is_ready:
            self._is_ready, self._completed = True, said
            yield said.process.reaches("engine_ready", at_ns)
        elif heard.what == "fails":
            self._fail(said)
        elif heard.what == "shuts_down":
            self._shut_down = self._shut_down or said

    def _fail(self, said: _Said) -> None:
        self._failed = self._failed or said
        said.process.fails(said.at_ns, is_starting=self._completed is None)

    def _said_by(self, speaker: Speaker, at_ns: int) -> _Said:
        name = _id_of(speaker)
        if name not in self._processes:
            self._processes[name] = _Known(Process(self._session, name, speaker), at_ns)
        self._speakers |= _names_of(speaker)
        process = self._processes[name].process
        process.speaks(speaker, at_ns)
        self._last = _Said(process, at_ns)
        self.goes_on(at_ns)
        return self._last


def _id_of(speaker: Speaker) -> str:
    name = "unnamed" if speaker.pid is None else f"pid-{speaker.pid}"
    return name if speaker.host is None else f"{name}@{speaker.host}"


def _names_of(speaker: Speaker) -> set[str]:
    """Return by what a process is known again: its id, and its name where that is its own."""
    if speaker.name is None or _OF_MANY.fullmatch(speaker.name) is not None:
        return {_id_of(speaker)}
    return {_id_of(speaker), speaker.name}
