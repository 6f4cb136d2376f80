"""Pairs begins with ends, lane by lane, since a trace does not name threads.

Events with the same compile id are treated as one thread as long as they nest; those without an id can come
from any number of threads. So an end is ambiguous if several begins of its name are open in a lane without
an id, or in a lane that does not nest. Even then the innermost begin is taken, so that one that torch never
ended does not swallow what came after it.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger_torch.spans import Ended

_MAX_LOST: Final = 100
_MAX_ENDED: Final = 1_000
_MANY_LANES: Final = 1_000
"""Above this number, lanes in which nothing is open are forgotten."""


class Open(NamedTuple):
    """A begin without its end."""

    stage: str
    interval: int
    at_ns: int
    data: Mapping[str, object]


class Taken(NamedTuple):
    """The begin that an end belongs to."""

    begin: Open
    is_ambiguous: bool
    """Another begin may be the right one."""


class Lane:
    """What is open in one lane."""

    def __init__(self, name: str, *, is_one_thread: bool) -> None:
        """`is_one_thread` is whether all of it has one compile id."""
        self._name = name
        self._is_one_thread = is_one_thread
        self._open: list[Open] = []
        """In a lane of one compile: torch's own stack of what is open."""
        self._of_stage: defaultdict[str, list[Open]] = defaultdict(list)
        """In a lane without id: what is open, by stage."""
        self._lost: deque[Open] = deque(maxlen=_MAX_LOST)
        """Begins that torch's own stack has dropped, since something below them ended. No longer parents."""
        self._mixed: set[str] = set()
        """Stages with an end that matched one of several begins, until none of them is open."""
        self._ended: deque[Ended] = deque(maxlen=_MAX_ENDED)
        """Ended spans that no metrics record has added up yet."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is open or can still end."""
        return not self._open and not self._lost and not self._of_stage

    @property
    def parent(self) -> int | None:
        """The parent of an interval that begins now; None if it would be a guess."""
        return self._open[-1].interval if self._open else None

    def thread(self, stage: str) -> str:
        """Return the lane's name for a begin: without an id, spans of one stage get separate names."""
        others = len(self._of_stage.get(stage, ()))
        return f"{self._name}, {others + 1}" if others else self._name

    def begin(self, begun: Open) -> None:
        """Note a begin."""
        (self._open if self._is_one_thread else self._of_stage[begun.stage]).append(begun)

    def ended(self, span: Ended) -> None:
        """Note what a record of metrics will add up."""
        self._ended.append(span)

    def take_ended(self, since_us: float) -> list[Ended]:
        """Return, once, the ended spans that began since a time; earlier ones belong to a later record."""
        taken = [span for span in self._ended if span.begin_us >= since_us]
        self._ended = deque((span for span in self._ended if span.begin_us < since_us), _MAX_ENDED)
        return taken

    def end(self, stage: str, at_ns: int) -> Taken | None:
        """Return the begin that an end belongs to; None if there is none before it."""
        return self._end_in_thread(stage, at_ns) if self._is_one_thread else self._end_anywhere(stage, at_ns)

    def _end_in_thread(self, stage: str, at_ns: int) -> Taken | None:
        is_innermost = bool(self._open) and self._open[-1].stage == stage
        is_ambiguous = (
            not is_innermost and sum(begun.stage == stage for begun in (*self._open, *self._lost)) > 1
        )
        if (at := _last(self._open, stage, at_ns)) is not None:
            begin = self._open[at]
            self._lost.extend(self._open[at + 1 :])
            del self._open[at:]
            return Taken(begin, is_ambiguous)
        lost = list(self._lost)
        if (at := _last(lost, stage, at_ns)) is not None:
            del self._lost[at]
            return Taken(lost[at], is_ambiguous)
        return None

    def _end_anywhere(self, stage: str, at_ns: int) -> Taken | None:
        alike = self._of_stage.get(stage, [])
        if (at := _last(alike, stage, at_ns)) is None:
            return None
        begin = alike.pop(at)
        if alike:
            self._mixed.add(stage)
        is_ambiguous = stage in self._mixed
        if not alike:
            self._mixed.discard(stage)
            del self._of_stage[stage]
        return Taken(begin, is_ambiguous)


class Lanes:
    """The lanes of one trace."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[int, str | None], Lane] = {}
        self._first_pid: int | None = None
        self._many = _MANY_LANES

    def of(self, pid: int, compile_id: str | None) -> Lane:
        """Return a lane; a process that was forked off and writes into the same file has its own."""
        key = (pid, compile_id)
        lane = self._lanes.get(key)
        if lane is None:
            self._first_pid = pid if self._first_pid is None else self._first_pid
            name = f"lane {compile_id or 'without id'}"
            name = name if pid == self._first_pid else f"{name} of {pid}"
            lane = Lane(name, is_one_thread=compile_id is not None)
            if len(self._lanes) >= self._many:
                self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.is_idle}
                self._many = max(_MANY_LANES, 2 * len(self._lanes))
            self._lanes[key] = lane
        return lane


def _last(begun: list[Open], stage: str, at_ns: int) -> int | None:
    """Return the index of a stage's last begin that is not after `at_ns`."""
    for at in range(len(begun) - 1, -1, -1):
        if begun[at].stage == stage and begun[at].at_ns <= at_ns:
            return at
    return None
