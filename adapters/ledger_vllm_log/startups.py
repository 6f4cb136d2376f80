"""Splits a log into start-ups: what belongs to one, where the next one begins, and how each ended.

The processes of a start-up introduce themselves, each once: its front end by its version and its arguments,
then its engines, each by a first line of its own. So the next start-up begins with an introduction

- that the process of that id or that name has made before: a service starts again, and in a container its
  processes have the ids of their predecessors;
- of a front end, after this start-up was ready, failed or shut down: another program is starting;
- that follows other lines but no introduction: the log lacks the beginning of the start-up that they belong
  to. (A front end logs more lines before its engine starts. So an engine's introduction begins a
  start-up only where the one before was over, or where that engine had already logged something.)

Engines that run in parallel have names of their own (`EngineCore_DP1`), and so have their front ends where
each has one: they introduce themselves side by side. Where two programs write into one log at the same time,
nothing says which engine belongs to which.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from ledger import Event
from ledger.adapters import ENGINE_READY, SERVER_READY
from ledger_log_lines.wall_clock import ASSUMED, WallClock
from ledger_vllm.logged_stages import LOGGED_STAGES
from ledger_vllm.message_patterns import NoticeName
from ledger_vllm.messages import Durations, Notice, Occurrence
from ledger_vllm_log.entries import Place
from ledger_vllm_log.message_meaning import Meaning
from ledger_vllm_log.processes import Process
from ledger_vllm_log.records import Record, Speaker

_OF_MANY: Final = re.compile(r".*Actor")
"""Ray's names for processes are those of their class."""
_WORKER: Final = re.compile(r"(?:Vllm)?Worker(?P<number>_DP\d+)?(?:_.*)?")
_ENGINE: Final = re.compile(r"EngineCore(?:_(?:DP)?\d+)?")
_SERVES: Final = "Starting vLLM "
_NUMBER: Final = re.compile(r"_DP\d+")
_BEGINS_INSIDE: Final = "the log begins inside a start-up: what happened before its first line is unknown"
_GOES_ON: Final = "the log goes on with another start-up: how this one ended is unknown"
_ENDS: Final = "the log ends here: whether and how this process went on is unknown"


class _SeenProcess(NamedTuple):
    process: Process
    first_seen_ns: int


class _Entry(NamedTuple):
    """A line of a process that matters to the start-up."""

    process: Process
    at_ns: int


class StartUp:
    """One start-up of a program, over all its processes: one session."""

    def __init__(self, session: str, wall: WallClock) -> None:
        self.wall: Final = wall
        self._session: Final = session
        self._over_ns: dict[str, int] = {}
        """Until when each process, or the engine of its number, had initialized its engine."""
        self._processes: dict[str, _SeenProcess] = {}
        self._introduced: set[tuple[NoticeName, str]] = set()
        self._speakers: set[str] = set()
        self._first: _Entry | None = None
        self._version: str | None = None
        self._engines: set[str] = set()
        self._only_introduced = True
        """Nothing has been logged but introductions."""
        self._ready_ns: int | None = None
        self._serves = False
        self._served: dict[str, int] = {}
        """When each front end started to serve."""
        self._initialized: set[str] = set()
        """Processes whose engine has been initialized."""
        self._completed: _Entry | None = None
        self._failed: _Entry | None = None
        self._shut_down: _Entry | None = None
        self._last: _Entry | None = None
        self._earliest_ns: int | None = None
        self._latest_ns = 0

    def is_before(self, meaning: Meaning, speaker: Speaker) -> bool:
        """Whether a line belongs to another start-up, after this one."""
        if not isinstance(meaning, Notice) or not meaning.is_introduction:
            return False
        names = _names_of(speaker)
        if not self._introduced.isdisjoint((meaning.name, name) for name in names):
            # Before processes had names, parallel engines introduced themselves one right after the other.
            return not (meaning.name == "engine" and speaker.pid is None and self._only_introduced)
        is_done = (self._completed or self._failed or self._shut_down) is not None
        if meaning.name == "engine":
            # Engines of one number each may join later; any other is of another program.
            if is_done and not self._has_front_end and not _is_numbered(speaker):
                return True
            return not self._introduced and (is_done or not self._speakers.isdisjoint(names))
        return is_done or (not self._introduced and self._last is not None)

    @property
    def _has_front_end(self) -> bool:
        """Whether the front end that still waits for engines has introduced itself."""
        return any(name in ("version", "arguments") for name, _ in self._introduced) and not self._engines

    @property
    def is_begun(self) -> bool:
        """Whether it has a line that matters to it."""
        return self._last is not None

    @property
    def is_over(self) -> bool:
        """Whether an engine was initialized: a line about a stage may be of the next start-up from now on."""
        return bool(self._over_ns) or self._ready_ns is not None

    def is_served_again(self, notice: Notice, speaker: Speaker, at_ns: int) -> bool:
        """Whether a front end starts to serve that has done so: another start-up came before that."""
        if not notice.text.startswith(_SERVES):
            return False
        return any(at_ns > self._served.get(name, at_ns) for name in _names_of(speaker))

    def is_begun_again(self, durations: Durations, speaker: Speaker, at_ns: int) -> bool:
        """Whether what a line times can only be of another start-up: it began when its engine was made."""
        first = durations.stated[0]
        begins_ns = at_ns - round(first.seconds * 1e9)
        if any(begins_ns >= other.last_ns for other in self._other_engines(speaker)):
            return True
        over_ns = [self._over_ns[name] for name in _group_of(speaker) if name in self._over_ns]
        if self._ready_ns is not None:
            over_ns.append(self._ready_ns)
        if not over_ns or not LOGGED_STAGES[first.stage].precedes_engine_init:
            return False
        # One line may stand in a log twice.
        return at_ns > max(over_ns) and begins_ns >= max(over_ns)

    def _other_engines(self, speaker: Speaker) -> Iterator[Process]:
        """Yield, for a process that is new, the engines of its name: a start-up has one of each name."""
        is_engine = speaker.pid is not None and _ENGINE.fullmatch(speaker.name or "") is not None
        if not is_engine or _id_of(speaker) in self._processes:
            return
        for seen in self._processes.values():
            other = seen.process.speaker
            if (other.name, other.host) == (speaker.name, speaker.host) and other.pid != speaker.pid:
                yield seen.process

    def extend(self, record: Record, at_ns: int) -> None:
        """Take the time of a line, whatever it says: the log reaches from the first stamp to the last."""
        self.wall.take(record.stamp, at_ns, record.wall_ns)
        self._earliest_ns = at_ns if self._earliest_ns is None else min(self._earliest_ns, at_ns)
        self._latest_ns = max(self._latest_ns, at_ns)

    def take(self, record: Record, at_ns: int, place: Place, meaning: Meaning) -> Iterator[Event]:
        """Yield the events of a record."""
        self.extend(record, at_ns)
        if isinstance(meaning, Notice):
            yield from self._take_notice(meaning, record, at_ns)
            return
        self._only_introduced = False
        entry = self._entry(record.speaker, at_ns)
        if isinstance(meaning, Occurrence):
            yield from entry.process.take_occurrence(record, at_ns, place, meaning)
        else:
            yield from entry.process.take_durations(record, at_ns, place, meaning)
            self._note_engine_init(meaning, record.speaker, entry)

    def _note_engine_init(self, durations: Durations, speaker: Speaker, entry: _Entry) -> None:
        if any(stated.stage == "engine_init" for stated in durations.stated):
            self._initialized.add(_id_of(speaker))
            self._over_ns |= dict.fromkeys(_group_of(speaker), entry.at_ns)
            if self._ready_ns is None and self._engines <= self._initialized:
                self._completed = entry

    def take_unstamped(self, notice: Notice, speaker: Speaker) -> Iterator[Event]:
        """Yield the events of a line without a stamp: it came after the last line that had one."""
        if self._last is None:
            return
        if notice.name == "fails":
            entry = self._entry(speaker, self._latest_ns)
            self._fail(entry)
            _, error, message = notice.text.partition("RuntimeError")
            if error:
                entry.process.take_exception(error, f"{error}{message}".strip())
        # Other programs have servers and bars of that kind too.
        elif self._completed is not None:
            is_of_process = notice.name == "serves" and _id_of(speaker) in self._processes
            process = self._entry(speaker, self._latest_ns).process if is_of_process else self._speaks_for_all
            yield from self._take_ready(notice, _Entry(process, self._latest_ns))

    def end(self, *, is_followed: bool) -> Iterator[Event]:
        """Yield the events that had to wait; `is_followed` is whether the log has a later start-up."""
        if self._last is None:
            return
        earliest_ns = self._latest_ns if self._earliest_ns is None else self._earliest_ns
        first = self._speaks_for_all
        yield first.session_started(self._version, earliest_ns, self.wall.wall_ns(earliest_ns))
        is_in_stage = any(seen.process.is_in_stage for seen in self._processes.values())
        for seen in self._processes.values():
            yield from seen.process.end()
        if self._failed is not None and not is_in_stage:
            yield from self._failed.process.last_step()
        if self._first is None:
            yield first.gap("log_begins", earliest_ns, _BEGINS_INSIDE)
        if not self.wall.is_stated:
            yield first.gap("wall_clock", earliest_ns, ASSUMED)
        if (outcome := self._outcome) is not None:
            yield first.session_ended(outcome, self._latest_ns)
        elif is_followed:
            yield first.gap("next_start", self._latest_ns, _GOES_ON)
        for process, first_seen_ns in self._processes.values():
            if process.has_failed:
                yield process.left("failed")
            elif self._shut_down is not None:
                yield process.left("completed")
            elif is_followed:
                yield process.lost()
            elif self._failed is None:
                yield process.gap("log_ends", self._latest_ns, _ENDS)
            yield process.joined(first_seen_ns, self.wall, self._parent_pid(process.speaker))

    def _parent_pid(self, speaker: Speaker) -> int | None:
        """Return the engine that a worker was started by: the only one, or the one of its number."""
        worker = None if speaker.name is None or speaker.host is not None else _WORKER.fullmatch(speaker.name)
        if worker is None:
            return None
        engine = re.compile(rf"EngineCore{worker['number'] or '.*'}")
        others = (seen.process.speaker for seen in self._processes.values())
        pids = {other.pid for other in others if other.name is not None and engine.fullmatch(other.name)}
        return pids.pop() if len(pids) == 1 else None

    @property
    def _speaks_for_all(self) -> Process:
        """The process that was the first to introduce itself or, where none did, to log what matters."""
        return next(iter(self._processes.values())).process if self._first is None else self._first.process

    @property
    def _outcome(self) -> Literal["completed", "failed"] | None:
        """How the start-up went; None where the log ends before it says so."""
        if self._failed is not None:
            return "failed"
        if self._completed is not None:
            return "completed"
        return None if self._shut_down is None else "failed"  # shut down before it was ready

    def _take_notice(self, notice: Notice, record: Record, at_ns: int) -> Iterator[Event]:
        speaker = record.speaker
        if notice.name == "raised":
            if (seen := self._processes.get(_id_of(speaker))) is not None:
                seen.process.take_exception(str(notice.detail), notice.text)
            return
        entry = self._entry(speaker, at_ns)
        if notice.is_introduction:
            self._introduced |= {(notice.name, name) for name in _names_of(speaker)}
            self._first = self._first or entry
            self._version = self._version or notice.detail
            if notice.name == "engine":
                self._engines.add(_id_of(speaker))
            return
        self._only_introduced = False
        if notice.name == "fails":
            self._fail(entry, record.stamp)
        elif notice.name == "shuts_down":
            self._shut_down = self._shut_down or entry
        elif notice.name != "engine_answers" or self._engines <= self._initialized:
            if notice.text.startswith(_SERVES):
                self._served |= dict.fromkeys(_names_of(speaker), at_ns)
            yield from self._take_ready(notice, entry)

    def _take_ready(self, notice: Notice, entry: _Entry) -> Iterator[Event]:
        """Take a line that there is only where the engines are ready, and perhaps where the server is."""
        self._completed = self._completed or entry
        if self._ready_ns is None:
            self._ready_ns = entry.at_ns
            yield entry.process.milestone(ENGINE_READY, entry.at_ns)
        if notice.name == "serves" and not self._serves:
            self._serves = True
            yield entry.process.milestone(SERVER_READY, entry.at_ns)

    def _fail(self, entry: _Entry, stamp: str | None = None) -> None:
        self._failed = self._failed or entry
        entry.process.fail(entry.at_ns, stamp, is_starting=self._completed is None)

    def _entry(self, speaker: Speaker, at_ns: int) -> _Entry:
        """Return a line's process and time, after it was counted as the last line so far."""
        name = _id_of(speaker)
        if name not in self._processes:
            self._processes[name] = _SeenProcess(Process(self._session, name, speaker), at_ns)
        self._speakers |= _names_of(speaker)
        process = self._processes[name].process
        process.update(speaker, at_ns)
        self._last = _Entry(process, at_ns)
        return self._last


@lru_cache(256)
def _id_of(speaker: Speaker) -> str:
    name = "unnamed" if speaker.pid is None else f"pid-{speaker.pid}"
    return name if speaker.host is None else f"{name}@{speaker.host}"


def _is_numbered(speaker: Speaker) -> bool:
    """Whether an engine is one of several: it has a number, or Ray calls all of them alike."""
    name = speaker.name or ""
    return speaker.pid is None or _NUMBER.search(name) is not None or _OF_MANY.fullmatch(name) is not None


def _group_of(speaker: Speaker) -> set[str]:
    """Return what an engine and its workers have in common: the number of its name; and its own id."""
    number = _NUMBER.search(speaker.name or "")
    return {_id_of(speaker), "" if number is None else number[0]}


@lru_cache(256)
def _names_of(speaker: Speaker) -> frozenset[str]:
    """Return what identifies a process: its id, and its name where no other process has it."""
    if speaker.name is None or _OF_MANY.fullmatch(speaker.name) is not None:
        return frozenset((_id_of(speaker),))
    return frozenset((_id_of(speaker), speaker.name))
