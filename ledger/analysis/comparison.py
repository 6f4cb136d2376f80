"""Compares two sets of start-ups: what takes longer, what less, and whether that could be chance.

A session's time for a role and activity is that of its slowest process (rule 8 of the reducer). So is its
time for a stage: the union of the intervals of one role, component and stage, from all sources but torch, in
the process where that is longest. A row that a session lacks counts as 0. With several sessions, the median
is shown.

A difference counts as real if the test in `significance` finds it and it is large enough to matter: at least
MIN_RATIO and MIN_DIFFERENCE_NS. The MAX_TESTED largest roles and activities are tested together, and then the
stages within those that are real, and no others. So if nothing differs, the chance that anything is called
real is still the test's level. Which rows are largest, and which vary too little to matter, is decided from
all sessions together: choosing what to test by comparing the two sets would find differences in noise.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, Literal, NamedTuple, TypeVar

from ledger.analysis.notebook_view import html_of
from ledger.analysis.significance import ALPHA, Found, has_power, holm, needed_per_side, permutation_test
from ledger.timeline.records import Interval
from ledger.timeline.spans import Span, union_ns
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import Activity

MAX_TESTED: Final = 6
"""Each further test weakens all others: Holm's correction divides the level by their number."""
MIN_DIFFERENCE_NS: Final = 50_000_000
MIN_RATIO: Final = Fraction(1, 20)
"""Relative to the smaller median, so that the order of the two sets does not matter."""

Verdict = Literal["new", "gone", "slower", "faster", "same"]


class Side(NamedTuple):
    """One set's times for a row; a session without the row counts as 0."""

    median_ns: int
    lowest_ns: int
    highest_ns: int
    seen: int
    """How many of its sessions have the row."""
    sessions: int


class Difference(NamedTuple):
    """A row's times in both sets, and the verdict on them."""

    a: Side
    b: Side
    verdict: Verdict
    """`new`: all sessions of `b` have it and none of `a`; `gone`: the reverse. All verdicts describe `b`.
    Without a test, `slower` and `faster` go by the medians, if the difference is large enough to matter."""
    p: float | None = None
    """Corrected for the number of tests; None if not tested."""
    is_real: bool | None = None
    """None if not tested; False also if too small to matter, or if the row that it is part of is not real."""

    @property
    def ns(self) -> int:
        """How much longer it takes in `b` than in `a`."""
        return self.b.median_ns - self.a.median_ns

    @property
    def ratio(self) -> float | None:
        """The time in `b` relative to `a`; None if it takes no time in `a`."""
        return self.b.median_ns / self.a.median_ns if self.a.median_ns else None


class RoleDifference(NamedTuple):
    """The time of a role and activity."""

    role: str | None
    activity: Activity
    difference: Difference


class StageDifference(NamedTuple):
    """The time of a stage of a component."""

    role: str | None
    activity: Activity
    component: str | None
    stage: str
    difference: Difference


class Comparison(NamedTuple):
    """How `b` differs. Roles and stages are each sorted by difference, the largest first."""

    roles: tuple[RoleDifference, ...]
    stages: tuple[StageDifference, ...]
    tests: int
    """Roles and activities that were tested, or would have been if there were enough sessions."""
    needed: int | None
    """How many sessions each side would need; None where there were enough."""

    def _repr_html_(self) -> str:
        """Show in a notebook what differs: roles and activities, then the stages that do."""
        return html_of(self.roles, self.stages, self.needed)


_Role = tuple[str | None, Activity]
_Stage = tuple[str | None, Activity, str | None, str]
_Key = TypeVar("_Key", _Role, _Stage)
_Any = TypeVar("_Any")


class _Times(NamedTuple):
    """Each session's time for one row; None for a session without it."""

    a: tuple[int | None, ...]
    b: tuple[int | None, ...]

    @property
    def all_ns(self) -> list[int]:
        return [ns or 0 for ns in (*self.a, *self.b)]

    @property
    def can_matter(self) -> bool:
        """Whether any split of these sessions into two sets could differ by enough to matter."""
        return max(self.all_ns) - min(self.all_ns) >= MIN_DIFFERENCE_NS

    def test(self) -> Found:
        return permutation_test([ns or 0 for ns in self.a], [ns or 0 for ns in self.b])

    def judge(self, found: Found | None, *, may_be_real: bool = True) -> Difference:
        """Return the difference; `found` is the result of its test, None if not tested."""
        a, b = _side(self.a), _side(self.b)
        is_real: bool | None = None
        if not may_be_real or not _is_large_enough(a.median_ns, b.median_ns):
            is_real = False
        elif found is not None:
            # If medians and faster halves disagree about the direction, the difference is not real.
            is_real = found.p <= ALPHA and (b.median_ns > a.median_ns) == (found.direction > 0)
        verdict: Verdict = "same"
        if not a.seen and b.seen == b.sessions:
            verdict = "new"
        elif not b.seen and a.seen == a.sessions:
            verdict = "gone"
        elif is_real is not False:
            verdict = "slower" if b.median_ns > a.median_ns else "faster"
        return Difference(a, b, verdict, found.p if found else None, is_real)


def compare(a: Sequence[Timeline], b: Sequence[Timeline]) -> Comparison:
    """Compare two sets of sessions. Pure, and independent of the order of the sessions in a set.

    `compare(b, a)` finds the same with all signs reversed. Raises ValueError if a set is empty.
    """
    if not a or not b:
        raise ValueError("both sets need at least one session")
    by_role = _aligned([_role_times(timeline) for timeline in a], [_role_times(timeline) for timeline in b])
    by_stage = _aligned(
        [_stage_times(timeline.intervals) for timeline in a],
        [_stage_times(timeline.intervals) for timeline in b],
    )
    chosen = _chosen(by_role)[:MAX_TESTED]
    is_enough = not chosen or has_power(len(a), len(b), len(chosen))
    roles = _judged(by_role, chosen)
    stages: dict[_Stage, Difference] = {}
    for role, difference in roles.items():
        inside = {key: times for key, times in by_stage.items() if key[:2] == role}
        if difference.is_real:
            stages |= _judged(inside, _chosen(inside))
        else:
            may_be_real = difference.is_real is None or not is_enough
            stages |= {key: times.judge(None, may_be_real=may_be_real) for key, times in inside.items()}
    return Comparison(
        tuple(RoleDifference(*key, difference) for key, difference in _by_size(roles)),
        tuple(StageDifference(*key, difference) for key, difference in _by_size(stages)),
        tests=len(chosen),
        needed=None if is_enough else needed_per_side(len(chosen)),
    )


def compare_times(
    pairs: Mapping[_Any, tuple[Sequence[int], Sequence[int]]], max_tested: int = MAX_TESTED
) -> dict[_Any, Difference]:
    """Compare pairs of sets of times that have nothing to do with each other, in their order.

    Of those whose times vary enough to matter and that have enough of them, the `max_tested` with the most
    time are tested together. Raises ValueError if a set is empty.
    """
    rows = {key: _Times(tuple(a), tuple(b)) for key, (a, b) in pairs.items()}
    if any(not times.a or not times.b for times in rows.values()):
        raise ValueError("both sets of a pair need at least one time")
    chosen = sorted(
        (key for key, times in rows.items() if times.can_matter), key=lambda key: -sum(rows[key].all_ns)
    )
    del chosen[max_tested:]
    chosen = [key for key in chosen if has_power(len(rows[key].a), len(rows[key].b), len(chosen))]
    chosen.sort(key=lambda key: len(rows[key].all_ns))  # those of one size are tested at less cost
    tested = [rows[key].test() for key in chosen]
    corrected = holm([each.p for each in tested])
    found = {key: each._replace(p=p) for key, each, p in zip(chosen, tested, corrected, strict=True)}
    return {key: times.judge(found.get(key)) for key, times in rows.items()}


def median_ns(times: Sequence[int]) -> int:
    """Return the median; for an even number of times, halfway between the two in the middle."""
    ordered = sorted(times)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2


def _role_times(timeline: Timeline) -> dict[_Role, int]:
    return {(total.role, total.activity): total.max_ns for total in timeline.session_totals}


def _stage_times(intervals: Iterable[Interval]) -> dict[_Stage, int]:
    spans: defaultdict[_Stage, defaultdict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for interval in intervals:
        if interval.source != "torch" and interval.stop_ns is not None:
            key = (interval.role, interval.activity, interval.component, interval.stage)
            spans[key][interval.process].append(Span(interval.start_ns, interval.stop_ns))
    return {key: max(map(union_ns, processes.values())) for key, processes in spans.items()}


def _aligned(a: Sequence[Mapping[_Key, int]], b: Sequence[Mapping[_Key, int]]) -> dict[_Key, _Times]:
    keys = {key for times in (*a, *b) for key in times}
    return {
        key: _Times(tuple(times.get(key) for times in a), tuple(times.get(key) for times in b))
        for key in sorted(keys, key=_sort_key)
    }


def _chosen(rows: Mapping[_Key, _Times]) -> list[_Key]:
    """Return the keys of rows that can matter, the largest first."""
    candidates = [key for key, times in rows.items() if times.can_matter]
    return sorted(candidates, key=lambda key: (-sum(rows[key].all_ns), _sort_key(key)))


def _judged(rows: Mapping[_Key, _Times], chosen: Sequence[_Key]) -> dict[_Key, Difference]:
    """Return the difference of each row. Rows in `chosen` are tested, if there are enough sessions."""
    found: dict[_Key, Found] = {}
    if chosen and has_power(len(rows[chosen[0]].a), len(rows[chosen[0]].b), len(chosen)):
        tested = [rows[key].test() for key in chosen]
        corrected = holm([each.p for each in tested])
        found = {key: each._replace(p=p) for key, each, p in zip(chosen, tested, corrected, strict=True)}
    return {key: times.judge(found.get(key)) for key, times in rows.items()}


def _is_large_enough(a_ns: int, b_ns: int) -> bool:
    difference_ns = abs(b_ns - a_ns)
    return difference_ns >= MIN_DIFFERENCE_NS and difference_ns >= MIN_RATIO * min(a_ns, b_ns)


def _side(times: Sequence[int | None]) -> Side:
    ordered = sorted(ns or 0 for ns in times)
    seen = sum(ns is not None for ns in times)
    return Side(median_ns(ordered), ordered[0], ordered[-1], seen, len(ordered))


def _by_size(rows: Mapping[_Key, Difference]) -> list[tuple[_Key, Difference]]:
    return sorted(rows.items(), key=lambda row: (-abs(row[1].ns), _sort_key(row[0])))


def _sort_key(key: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(name or "" for name in key)
