"""The waterfall over the processes as data: what each did from its creation to its end.

A lane shows a process's outermost stages, and in front of them where it waited. Opened, it shows all of its
intervals, each below what encloses it; those are data of their own, which a page reads only when asked to.
Times are whole microseconds since the start began. Texts are in lists that numbers point into.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import merge
from itertools import chain
from typing import Any, Final, NamedTuple

from ledger.durations import seconds
from ledger.formatting import counted, cut
from ledger.reports.html.addresses import address_of
from ledger.reports.html.families import FAMILIES, family_of
from ledger.reports.html.left_out import Block
from ledger.reports.html.nesting import Nested, Span, nested
from ledger.reports.html.subject import Subject
from ledger.timeline.process_lives import ProcessLife
from ledger.timeline.process_names import process_names
from ledger.timeline.records import Interval
from ledger.vocabulary import COMMAND_STARTED, IMPORT, WAITING, package_of

_NAME: Final = 100
_US: Final = 1_000
_EYE: Final = 1_000
"""Into so many parts the eye divides a lane: what is nearer to each other than one seems to touch."""
_FINEST: Final = 100_000
"""Into so many parts a reader zooms: a hole that is shorter is not kept."""
_FLAG_OF_OUTCOME: Final = {"completed": 0, "failed": 1, "abandoned": 2, "open": 2}


Columns = dict[str, list[int | None]]
"""By name. Only the id of an interval may be none: that of several together."""


class _Texts:
    """A list of texts, each once."""

    def __init__(self) -> None:
        self.texts: Final[list[str]] = []
        self._place_of: Final[dict[str, int]] = {}

    def place(self, text: str) -> int:
        if text not in self._place_of:
            self._place_of[text] = len(self.texts)
            self.texts.append(cut(text, _NAME))
        return self._place_of[text]


class _Stage(NamedTuple):
    """A piece of a closed lane."""

    start_ns: int
    stop_ns: int
    name: str
    place: int
    """Of its interval; of several, the longest."""
    package: str | None
    """Of imports: those of one package that follow each other are one."""


class Waterfall(NamedTuple):
    """What a page has of a session's processes."""

    lanes: dict[str, Any]
    """What is drawn at first."""
    intervals: dict[str, Any]
    """All intervals."""


def waterfall(subject: Subject) -> Waterfall:
    """Lay the processes of a session out."""
    offset_ns = subject.lives.offset_ns
    windows = subject.timeline.startup_windows
    all_lives = subject.lives.processes
    lives = sorted(
        (life for life in all_lives if life.process in subject.drawn_processes),
        key=lambda life: (life.began_ns, life.process),
    )
    first_ns = min([window.start_ns for window in windows] + [life.began_ns for life in all_lives], default=0)
    begin_ns = windows[0].start_ns if windows else first_ns
    by_process: defaultdict[str, list[Span]] = defaultdict(list)
    for place, one in enumerate(subject.timeline.intervals):
        shift_ns = offset_ns[one.process] - begin_ns
        by_process[one.process].append(Span(one.start_ns + shift_ns, subject.stop_ns(one) + shift_ns, place))
    ends_of_windows = {window.ended_by for window in windows}
    # The name of what ends a start comes first: of names that are too near each other one is shown.
    milestones = sorted(
        (one.name not in ends_of_windows, one.at_ns + offset_ns[one.process] - begin_ns, cut(one.name, _NAME))
        for one in subject.timeline.milestones
    )
    ends = [span.stop_ns for spans in by_process.values() for span in spans]
    ends += [window.stop_ns - begin_ns for window in windows] + [at_ns for _, at_ns, _ in milestones]
    ends += [life.ended_ns - begin_ns for life in all_lives if life.ended_ns is not None]
    length_ns = max(ends, default=0)
    ready_ns = max((window.stop_ns - begin_ns for window in windows), default=length_ns)
    titles = process_names(subject.timeline.processes, max_length=_NAME)
    names, stages, abouts = _Texts(), _Texts(), _Texts()
    lanes: list[dict[str, Any]] = []
    everything: list[dict[str, Any]] = []
    recorders = {one.process for one in subject.timeline.milestones if one.name == COMMAND_STARTED}
    charged_holes = _charged_holes(subject, recorders, begin_ns)
    for life in lives:
        nest = nested(by_process.pop(life.process, []))
        left_out = subject.left_out and subject.left_out.processes.get(life.process)
        shift_ns = offset_ns[life.process] - begin_ns
        if life.process in recorders:  # which does nothing but wait for the command
            after_ns, holes = 0, charged_holes[life.process]
        else:
            after_ns = ready_ns
            ended_ns = length_ns if life.ended_ns is None else life.ended_ns - begin_ns
            also = (
                [(start + shift_ns, stop + shift_ns) for start, stop in left_out.outermost]
                if left_out
                else []
            )
            went_on = merge(((one.span.start_ns, one.span.stop_ns) for one in nest), also)
            holes = _holes(went_on, life.began_ns - begin_ns, min(ended_ns, ready_ns), length_ns // _FINEST)
        rows = _rows(_outermost(subject, nest, length_ns // _EYE))
        waits = _waits(subject, nest, {stage.place: row for stage, row in rows.items()})
        lanes.append(
            {
                "id": address_of(life.process),
                "name": titles.get(life.process) or cut(life.process, _NAME),
                "pid": _pid(subject, life),
                "began": (life.began_ns - begin_ns) // _US,
                "ended": None if life.ended_ns is None else (life.ended_ns - begin_ns) // _US,
                "holes": [[start_ns // _US, (stop_ns - start_ns) // _US] for start_ns, stop_ns in holes],
                "after": after_ns // _US,
                "stages": _columns(subject, rows, names),
                "waits": _columns(subject, waits, names),
            }
        )
        columns = _all(subject, nest, stages, abouts)
        if left_out:
            _append_blocks(columns, left_out.blocks, shift_ns, stages, abouts)
        everything.append(columns)
    return Waterfall(
        {
            "first": (first_ns - begin_ns) // _US,
            "length": length_ns // _US,
            "shown": (ready_ns or length_ns) // _US,
            "families": FAMILIES,
            "names": names.texts,
            "milestones": [[at_ns // _US, name] for _, at_ns, name in milestones],
            "processes": lanes,
        },
        {"stages": stages.texts, "abouts": abouts.texts, "processes": everything},
    )


def _pid(subject: Subject, life: ProcessLife) -> int | None:
    record = subject.processes.get(life.process)
    return record.pid if record else None


def _charged_holes(
    subject: Subject, processes: Collection[str], begin_ns: int
) -> defaultdict[str, list[tuple[int, int]]]:
    """Return the time in no stage that the breakdown charges to some processes."""
    found: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for piece in subject.pieces() if processes else ():
        if piece.process is not None and piece.process in processes and piece.interval is None:
            found[piece.process].append((piece.start_ns - begin_ns, piece.stop_ns - begin_ns))
    return found


def _holes(
    went_on: Iterable[tuple[int, int]], start_ns: int, stop_ns: int, shortest_ns: int
) -> list[tuple[int, int]]:
    """Return the times in which a process exists and is in no stage; those of stages come by start."""
    found: list[tuple[int, int]] = []
    for begin_ns, end_ns in chain(went_on, [(stop_ns, stop_ns)]):
        hole_ns = min(begin_ns, stop_ns) - start_ns
        if hole_ns > shortest_ns:
            found.append((start_ns, start_ns + hole_ns))
        start_ns = max(start_ns, end_ns)
    return found


def _outermost(subject: Subject, nest: Sequence[Nested], near_ns: int) -> list[_Stage]:
    """Return what nothing encloses, by start; imports of one package that touch are one."""
    found: list[_Stage] = []
    for one in nest:
        if one.around is not None:
            continue
        interval = subject.timeline.intervals[one.span.place]
        start_ns, stop_ns, place = one.span
        last = found[-1] if found else None
        package = package_of(interval.component) if interval.stage == IMPORT else None
        if last and package and last.package == package and start_ns - last.stop_ns <= near_ns:
            is_longer = stop_ns - start_ns > _length_ns(subject, last.place)
            found[-1] = last._replace(
                stop_ns=max(stop_ns, last.stop_ns),
                name=f"{IMPORT} {package}",
                place=place if is_longer else last.place,
            )
        else:
            name = f"{IMPORT} {package}" if package else subject.interval_name(interval)
            found.append(_Stage(start_ns, stop_ns, name, place, package))
    return found


def _waits(subject: Subject, nest: Sequence[Nested], row_of: Mapping[int, int]) -> dict[_Stage, int]:
    """Return where a process waited inside of another stage, each with the row of what is outermost then."""
    outermost: dict[int, int] = {}
    found: dict[_Stage, int] = {}
    for one in nest:
        place = one.span.place
        outermost[place] = place if one.around is None else outermost[one.around]
        interval = subject.timeline.intervals[place]
        if one.around is not None and interval.stage == WAITING:
            stage = _Stage(one.span.start_ns, one.span.stop_ns, subject.interval_name(interval), place, None)
            found[stage] = row_of.get(outermost[place], 0)
    return found


def _length_ns(subject: Subject, place: int) -> int:
    interval = subject.timeline.intervals[place]
    return subject.stop_ns(interval) - interval.start_ns


def _rows(stages: Sequence[_Stage]) -> dict[_Stage, int]:
    """Return the row of each: those that overlap stand below each other."""
    free_ns: list[int] = []
    rows: dict[_Stage, int] = {}
    for stage in stages:
        row = next((i for i, at_ns in enumerate(free_ns) if at_ns <= stage.start_ns), len(free_ns))
        free_ns[row : row + 1] = [stage.stop_ns]
        rows[stage] = row
    return rows


def _columns(subject: Subject, rows: Mapping[_Stage, int], names: _Texts) -> Columns:
    """Return pieces of a lane as columns."""
    columns: Columns = {name: [] for name in ("start", "length", "row", "name", "family", "flag", "interval")}
    for stage, row in rows.items():
        interval = subject.timeline.intervals[stage.place]
        _append(
            columns, start=stage.start_ns // _US, length=(stage.stop_ns - stage.start_ns) // _US, row=row,
            name=names.place(stage.name), family=_family(interval),
            flag=_FLAG_OF_OUTCOME[interval.outcome], interval=interval.interval,
        )  # fmt: skip
    return columns


def _all(subject: Subject, nest: Sequence[Nested], stages: _Texts, abouts: _Texts) -> Columns:
    """Return all intervals of a process as columns; a start is the distance from the one before."""
    columns: Columns = {
        name: [] for name in ("start", "length", "row", "stage", "about", "family", "flag", "interval")
    }
    before_us = 0
    naming = subject.interval_name
    for one in nest:
        interval = subject.timeline.intervals[one.span.place]
        start_us = one.span.start_ns // _US
        _append(
            columns, start=start_us - before_us, length=(one.span.stop_ns - one.span.start_ns) // _US,
            row=one.row, stage=stages.place(naming.stage(interval)),
            about=abouts.place(naming.about(interval)), family=_family(interval),
            flag=_FLAG_OF_OUTCOME[interval.outcome], interval=interval.interval,
        )  # fmt: skip
        before_us = start_us
    return columns


def _append_blocks(
    columns: Columns, blocks: Sequence[Block], shift_ns: int, stages: _Texts, abouts: _Texts
) -> None:
    """Add what a page has not one by one: a row below all others, of blocks that are no intervals."""
    row = max((row for row in columns["row"] if row is not None), default=-1) + 1
    # A start is the distance from the one before, which is the last of all intervals here.
    before_us = sum(start for start in columns["start"] if start is not None)
    for block in blocks:
        start_us = (block.start_ns + shift_ns) // _US
        text = f"{counted(block.number, 'interval')}, none longer than {seconds(block.longest_ns)} s"
        _append(
            columns, start=start_us - before_us, length=(block.stop_ns - block.start_ns) // _US, row=row,
            stage=stages.place(text), about=abouts.place(""), family=FAMILIES.index("other"), flag=0,
            interval=None,
        )  # fmt: skip
        before_us = start_us


def _append(columns: Columns, **values: int | None) -> None:
    for name, value in values.items():
        columns[name].append(value)


def _family(interval: Interval) -> int:
    return FAMILIES.index(family_of(interval.stage, interval.activity))
