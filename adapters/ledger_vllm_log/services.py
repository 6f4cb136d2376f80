"""Takes the lines of one log, and splits them into its start-ups, one after the other.

Where a log lacks the lines that begin a start-up, lines that one start-up cannot log tell it from the next:
an engine that is initialized again, weights that are loaded after their engine was initialized. What came
before such a line, but after the start-up before was over, may belong to either, so it waits until that is
known. Weights that an engine takes while it runs (`reload_weights`, waking from sleep mode) begin none: other
lines say so, before the load or right after it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ledger import Event
from ledger_vllm.messages import Durations, Notice
from ledger_vllm_log.entries import Place
from ledger_vllm_log.message_meaning import Meaning
from ledger_vllm_log.records import Record, Speaker
from ledger_vllm_log.startups import StartUp

_MOST_WAITING: Final = 10_000
_RELOADS: Final = re.compile(r"Reloading |It took [\d.]+ seconds to (?:fall asleep|wake up|discard)")


class _Taken(NamedTuple):
    """A line with a time; without a meaning it only says how far the start-up reached."""

    record: Record
    at_ns: int
    place: Place
    meaning: Meaning | None


class Service:
    """The start-ups of one service."""

    def __init__(self, begin: Callable[[StartUp | None], StartUp]) -> None:
        self._begin = begin
        self._start = begin(None)
        self._waiting: list[_Taken] = []
        self._next_at: int | None = None
        """Where in what waits the next start-up seems to begin, unless its load is a reload."""
        self._reloads = False
        self._has_started = False

    @property
    def has_known(self) -> bool:
        """Whether a line was known to be about a start-up."""
        return self._start.is_begun or self._has_started

    def take(self, record: Record, at_ns: int, place: Place, meaning: Meaning | None) -> Iterator[Event]:
        """Yield the events of a line, or of those that waited for it."""
        taken = _Taken(record, at_ns, place, meaning)
        if isinstance(meaning, Notice):
            if self._next_at is None and self._start.is_served_again(meaning, record.speaker, at_ns):
                self._next_at = self._first_stage
            yield from self._flush()
            if self._start.is_before(meaning, record.speaker):
                yield from self._next()
        elif meaning is None and self._start.is_over and _RELOADS.match(record.message):
            self._reloads, self._next_at = True, None
        elif isinstance(meaning, Durations) and self._begins_next(taken, meaning):
            if self._next_at is None:
                self._next_at = self._first_of_next(taken, meaning)
            if not _is_load_of_weights(meaning):
                yield from self._flush()
        if self._waiting or self._next_at is not None or (meaning is not None and self._start.is_over):
            self._waiting.append(taken)
            if len(self._waiting) > _MOST_WAITING:
                yield from self._flush()
        else:
            yield from self._put([taken])

    def take_unstamped(self, notice: Notice, speaker: Speaker) -> Iterator[Event]:
        """Yield the events of a line without a stamp."""
        yield from self._flush()
        yield from self._start.take_unstamped(notice, speaker)

    def end(self) -> Iterator[Event]:
        """Yield the events that had to wait for the end of the log."""
        yield from self._flush()
        yield from self._start.end(is_followed=False)

    def _begins_next(self, taken: _Taken, meaning: Durations) -> bool:
        if not self._start.is_begun_again(meaning, taken.record.speaker, taken.at_ns):
            return False
        return not (self._reloads and _is_load_of_weights(meaning))

    def _first_of_next(self, taken: _Taken, meaning: Durations) -> int:
        """Return where in what waits that begins which a line says has ended."""
        begins_ns = taken.at_ns - round(meaning.stated[0].seconds * 1e9) - taken.record.unit_ns
        own = (
            number
            for number, one in enumerate(self._waiting)
            if one.meaning is not None and one.at_ns >= begins_ns
        )
        return next(own, len(self._waiting))

    @property
    def _first_stage(self) -> int | None:
        """Where in what waits the first stage is, if there is one."""
        stages = (number for number, one in enumerate(self._waiting) if isinstance(one.meaning, Durations))
        return next(stages, None)

    def _next(self) -> Iterator[Event]:
        yield from self._start.end(is_followed=True)
        self._has_started = True
        self._start, self._reloads = self._begin(self._start), False

    def _flush(self) -> Iterator[Event]:
        """Yield the events of what waits: of this start-up, and of the next one if that has begun."""
        waiting, self._waiting = self._waiting, []
        at, self._next_at = self._next_at, None
        yield from self._put(waiting[:at])
        if at is not None:
            yield from self._next()
            yield from self._put(waiting[at:])

    def _put(self, lines: list[_Taken]) -> Iterator[Event]:
        for record, at_ns, place, meaning in lines:
            if meaning is None:
                self._start.extend(record, at_ns)
            else:
                yield from self._start.take(record, at_ns, place, meaning)


def _is_load_of_weights(durations: Durations) -> bool:
    return durations.stated[0].stage in ("weights_load", "checkpoint_shards", "weights_prefetch")
