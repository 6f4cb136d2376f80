"""Reduces a process part by part, in the order of time: so few of its events are in memory at a time.

A part is a time. It is reduced together with what lasts into it from before, whose stops are known ahead:

    A |------------------.---------------------|     the second part sees A and D as they are: so it finds
    B    |---|   C |--|  .                           around what they lie, how deep they are, whose role they
    D                |---.------|   E |---|          have. What A does not lie in itself is added up by parts.
                       part

What has ended before a part encloses nothing in it. The result is bit for bit that of all parts at once.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ledger.timeline.checkpoints import (
    Cut,
    Unstopped,
    advanced,
    are_plain,
    beginning,
    cuts_of,
    is_separate,
    joined_anomalies,
    unstopped_of,
)
from ledger.timeline.intervals import Part, intervals_of
from ledger.timeline.log_neighbours import LOG
from ledger.timeline.records import Anomaly, Interval
from ledger.timeline.stage_events import Lost, StageEvents, Start, Stop
from ledger.timeline.totals import ProcessTotals

_ALL: Final = (1 << 72,) * 3


class NotInParts(Exception):
    """A process must be reduced as a whole."""


class _Lasting(NamedTuple):
    """An interval that has not ended yet."""

    start: Start
    stop: Stop | None
    """None where it never stops."""
    role: str | None
    """Its own, or its nearest ancestor's."""
    enclosed_ns: int | None
    """How much of it is covered by what it encloses, so far; None where it encloses nothing."""
    inside_ns: int
    """How much of it is none of its self time, so far."""
    place: int
    """Among its process's intervals."""


class PartReduced(NamedTuple):
    """What a part gives."""

    lasting: Sequence[Interval]
    """What lasts into it from before, by start."""
    intervals: Sequence[Interval]
    """What begins in it, by start; of what lasts beyond it the times of rule 7 are not known yet."""
    finished: Sequence[tuple[int, Interval]]
    """What has ended in it that had begun before, each with its place among the process's intervals."""
    cuts: Sequence[Cut]
    stopped_before: str | None
    """The stage that had stopped last when the part began."""


class ProcessParts:
    """The reducing of a process, part by part."""

    def __init__(
        self, session: str, process: str, *, is_over: bool, last_ns: int, lost: Lost | None, spacing: int
    ) -> None:
        """Take what is known of the whole process: as `intervals_of` does. Cuts are `spacing` apart."""
        self._session: Final = session
        self._process: Final = process
        self._is_over: Final = is_over
        self._last_ns: Final = last_ns
        self._lost: Final = lost
        self._spacing: Final = spacing
        self._lasting: list[_Lasting] = []
        self._open: list[Interval] = []
        self._reached = beginning()
        self._until_ns = -1
        self.unstopped: list[Unstopped] = []
        """What is still open at the end."""
        self.anomalies: list[Anomaly] = []
        self.is_plain = True

    @property
    def number(self) -> int:
        """How many intervals there are so far."""
        return self._reached.number

    def totals(self) -> ProcessTotals:
        """Return the totals, after the last part."""
        totals = self._reached.totals.ended()
        totals.add(self._open)
        return totals

    def take(self, stages: StageEvents, later: Mapping[int, Stop], until_ns: int) -> PartReduced:
        """Reduce the next part: starts and stops in their order, none later than `until_ns`.

        `later` has the stops, by interval, of those that begin in it and stop after it. Raises NotInParts.
        """
        since_ns, self._until_ns = self._until_ns, until_ns
        base, before = self._reached._replace(at_ns=since_ns + 1), self._lasting
        times = [at_ns for events in stages for at_ns in (*events.at_ns[:1], *events.at_ns[-1:])]
        is_later = not times or (min(times) > since_ns and max(times) <= until_ns)
        if not is_later or not is_separate(base, stages, (each.start.interval for each in before)):
            raise NotInParts
        part = Part(since_ns, until_ns, len(before), [each.role for each in before])
        together = _with_lasting(stages, before, later, until_ns)
        found, odd = intervals_of(
            self._session, self._process, together,
            is_over=self._is_over, last_ns=self._last_ns, lost=self._lost, part=part,
        )  # fmt: skip
        lasting, new = found[: len(before)], found[len(before) :]
        unstopped = unstopped_of(new)
        if any(one.source == LOG for one in new) or not all(one.is_open for one in unstopped):
            raise NotInParts
        cuts, totals = cuts_of(stages, new, odd, base, self._spacing, lasting)
        self._open += [new[one.place] for one in unstopped]
        self.unstopped += [one._replace(place=base.number + one.place) for one in unstopped]
        self._reached = advanced(base, stages, new, odd, until_ns, lasting, totals)
        self.anomalies = joined_anomalies(self.anomalies, _ALL, odd, since_ns + 1)
        self.is_plain = self.is_plain and are_plain(new)
        finished = self._go_on(found, together, later, part, base.number)
        return PartReduced(lasting, new, finished, cuts[1:], base.last_stopped)

    def _go_on(
        self,
        found: Sequence[Interval],
        stages: StageEvents,
        later: Mapping[int, Stop],
        part: Part,
        number: int,
    ) -> list[tuple[int, Interval]]:
        """Take note of what lasts beyond a part, and return what has ended in it that began before."""
        before, self._lasting = self._lasting, []
        finished: list[tuple[int, Interval]] = []
        open_places = [i for i, one in enumerate(found) if one.stop_ns is None]
        for i in sorted({*part.lasting, *open_places}):
            one, old = found[i], before[i] if i < len(before) else None
            enclosed_ns, inside_ns = part.enclosed_ns.get(i), part.inside_ns.get(i, 0)
            if old is not None:
                inside_ns += old.inside_ns
                if old.enclosed_ns is not None:
                    enclosed_ns = old.enclosed_ns + (enclosed_ns or 0)
            if one.stop_ns is not None and one.stop_ns <= part.until_ns:
                assert old is not None
                assert one.duration_ns is not None
                unattributed_ns = None if enclosed_ns is None else one.duration_ns - enclosed_ns
                ended = one._replace(self_ns=one.duration_ns - inside_ns, unattributed_ns=unattributed_ns)
                finished.append((old.place, ended))
            elif old is not None:
                self._lasting.append(old._replace(enclosed_ns=enclosed_ns, inside_ns=inside_ns))
            else:
                # Of starts with one id the first alone is an interval.
                is_each = len(found) == len(stages.starts.seq)
                at = i if is_each else list(stages.starts.seq).index(one.start_seq)
                start = Start._make(column[at] for column in stages.starts)
                stop = None if one.stop_ns is None else later[one.interval]
                place = number + i - len(before)
                self._lasting.append(_Lasting(start, stop, part.roles[i], enclosed_ns, inside_ns, place))
        return finished


def _with_lasting(
    stages: StageEvents, lasting: Sequence[_Lasting], later: Mapping[int, Stop], until_ns: int
) -> StageEvents:
    """Return a part's starts and stops with the starts of what lasts into it, and all stops after it."""
    stops = [*later.values(), *(each.stop for each in lasting if each.stop and each.stop.at_ns > until_ns)]
    stops.sort()
    starts = StageEvents.of((each.start for each in lasting), ())
    return starts.plus(stages).plus(StageEvents.of((), stops)).in_order()
