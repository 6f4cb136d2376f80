"""The breakdown from command to ready as the pieces of one bar, which add up to it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.durations import seconds
from ledger.formatting import NO_STAGE, counted, cut
from ledger.reports.html.addresses import target_of
from ledger.reports.html.families import family_of
from ledger.reports.html.subject import Subject
from ledger.timeline.breakdown import PATH_SEPARATOR
from ledger.timeline.records import Interval, IntervalKey, StartupPiece, StartupWindow
from ledger.vocabulary import ACTIVITY_OF, IMPORT, package_of

_SHOWN: Final = 12
_SMALLEST: Final = 0.01
"""A share that is less is one of the others, which are one piece together."""
_INSIDE: Final = 4
_INSIDE_SHARE: Final = 0.05
"""Of a piece: less of it is not worth its words."""
_NAME: Final = 100
NOBODY: Final = "hole"
"""In place of a family: no interval accounts for it."""
_REST: Final = "rest"


class BarPiece(NamedTuple):
    """A piece of the bar: all time of a window in one stage of one role, over all processes."""

    name: str
    family: str
    ns: int
    share: float
    longest: IntervalKey | None
    """The interval that has most of it."""
    inside: str
    """What most of it is: packages, or torch's own stages."""
    shade: int = 0
    """Of two: neighbours of one family are told apart by it."""

    @property
    def style(self) -> str:
        """Its classes in `page.css`."""
        return f"family-{self.family}" + (" shaded" if self.shade else "")

    @property
    def target(self) -> str | None:
        """What a link to the longest interval leads to."""
        return self.longest and target_of(*self.longest)

    @property
    def percent(self) -> str:
        """The share, as it is shown."""
        return f"{self.share:.1%}"

    @property
    def seconds(self) -> str:
        """The time, as it is shown."""
        return seconds(self.ns)


class Bar(NamedTuple):
    """A window, and its pieces: by family, in the order in which they began."""

    window: StartupWindow
    pieces: tuple[BarPiece, ...]

    @property
    def described(self) -> str:
        """The bar in words."""
        parts = (f"{piece.name} {piece.seconds} s, {piece.percent}" for piece in self.pieces)
        return f"{seconds(self.window.duration_ns)} s: {'; '.join(parts)}"


@dataclass(slots=True)
class _Group:
    first_ns: int
    of_interval: Counter[IntervalKey] = field(default_factory=Counter[IntervalKey])
    inside: Counter[str] = field(default_factory=Counter[str])
    ns: int = 0


_Groups = dict[tuple[str, str], _Group]
"""By family and name."""


def breakdown_bars(subject: Subject) -> list[Bar]:
    """Return a bar for each window that has a length."""
    windows = subject.timeline.startup_windows
    of_windows: defaultdict[int, _Groups] = defaultdict(dict)
    for piece in subject.pieces():
        key, inside = _named(subject, piece)
        groups = of_windows[piece.window]
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(piece.start_ns)
        group.ns += piece.duration_ns
        group.inside[inside] += piece.duration_ns
        if piece.process is not None and piece.interval is not None:
            interval = IntervalKey(piece.process, piece.interval)
            if interval in subject.intervals:  # else it is left out, and so shorter than those that are not
                group.of_interval[interval] += piece.duration_ns
    return [_bar(window, of_windows[window.window]) for window in windows if window.duration_ns > 0]


def _bar(window: StartupWindow, groups: _Groups) -> Bar:
    found = [
        BarPiece(
            name, family, group.ns, group.ns / window.duration_ns,
            max(group.of_interval, key=lambda key: (group.of_interval[key], key), default=None),
            ", ".join(_inside(group.inside)) if len(group.inside) > 1 else "",
        )
        for (family, name), group in groups.items()
        if group.ns
    ]  # fmt: skip
    largest = sorted(found, key=lambda piece: (-piece.ns, piece.name))
    shown = [piece for piece in largest[:_SHOWN] if piece.share >= _SMALLEST]
    began = {key: group.first_ns for key, group in groups.items()}
    of_family: dict[str, int] = {}
    for (family, _), first_ns in began.items():
        of_family[family] = min(first_ns, of_family.get(family, first_ns))

    def in_order(piece: BarPiece) -> tuple[bool, int, int, str]:
        first_ns = began[piece.family, piece.name]
        return piece.family == NOBODY, of_family[piece.family], first_ns, piece.name

    # What nobody accounts for is never one of the others.
    others = [piece for piece in largest if piece not in shown and piece.family != NOBODY]
    holes = [piece for piece in largest if piece not in shown and piece.family == NOBODY]
    pieces_shown = sorted(shown, key=in_order)
    if len(others) == 1:
        pieces_shown = sorted([*shown, *others], key=in_order)
    elif others:
        ns = sum(piece.ns for piece in others)
        rest = BarPiece(counted(len(others), "other stage"), _REST, ns, ns / window.duration_ns, None, "")
        at = len(pieces_shown) - sum(piece.family == NOBODY for piece in pieces_shown)
        pieces_shown.insert(at, rest)
    return Bar(window, tuple(_shaded([*pieces_shown, *holes])))


def _shaded(pieces: Iterable[BarPiece]) -> Iterator[BarPiece]:
    seen = Counter[str]()
    for piece in pieces:
        yield piece._replace(shade=seen[piece.family] % 2)
        seen[piece.family] += 1


def _named(subject: Subject, piece: StartupPiece) -> tuple[tuple[str, str], str]:
    """Return the family and the name of what a piece counts in, and what it is in there."""
    if piece.process is None or piece.interval is None or piece.stage is None:
        return (NOBODY, NO_STAGE), ""
    place = subject.intervals.get((piece.process, piece.interval))
    if place is None:
        return _named_by_path(piece, piece.stage)
    interval = subject.timeline.intervals[place]
    if interval.stage == IMPORT:
        return (family_of(IMPORT, interval.activity), IMPORT), package_of(interval.component)
    around = _in_vocabulary(subject, interval)
    role = piece.role or around.role
    name = cut(f"{around.stage} [{role}]" if role else around.stage, _NAME)
    return (family_of(around.stage, around.activity), name), interval.stage


def _named_by_path(piece: StartupPiece, stage: str) -> tuple[tuple[str, str], str]:
    """Do the same for a piece of an interval that is left out, by the first stages around it."""
    activity = piece.activity or ""
    if stage == IMPORT:
        return (family_of(IMPORT, activity), IMPORT), package_of(piece.component)
    around, role = stage, piece.role
    if piece.source == "torch" and stage not in ACTIVITY_OF:
        for name in reversed((piece.path or "").split(PATH_SEPARATOR)):
            outer, _, its_role = name.partition(" [")
            if outer in ACTIVITY_OF:
                around, activity = outer, ACTIVITY_OF[outer]
                role = role or its_role.removesuffix("]")
                break
    name = cut(f"{around} [{role}]" if role else around, _NAME)
    return (family_of(around, activity), name), stage


def _in_vocabulary(subject: Subject, interval: Interval) -> Interval:
    """Return what encloses one of torch's hundreds of stages: the first with a name of the vocabulary's."""
    intervals: Mapping[tuple[str, int], int] = subject.intervals
    found = interval
    while found.source == "torch" and found.stage not in ACTIVITY_OF:
        if found.enclosing is None:
            return interval
        place = intervals.get((found.process, found.enclosing))
        if place is None:
            return interval  # what is around it is left out
        found = subject.timeline.intervals[place]
    return found


def _inside(parts: Counter[str]) -> Iterator[str]:
    whole_ns = parts.total()
    for name, ns in sorted(parts.items(), key=itemgetter(1), reverse=True)[:_INSIDE]:
        if ns >= _INSIDE_SHARE * whole_ns:
            yield f"{cut(name, _NAME)} {seconds(ns)}"
