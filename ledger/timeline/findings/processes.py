"""Findings of processes that start beside each other: ranks that wait for one, and starts in a row."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from statistics import median_high
from typing import NamedTuple

from ledger.formatting import counted
from ledger.timeline.findings.evidence import MOST_INTERVALS, Evidence, key_of
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.window_time import (
    family_of,
    longest_first,
    span_of,
    within_windows,
    within_windows_ns,
)
from ledger.timeline.records import Interval, Milestone, Process
from ledger.timeline.spans import Span, merged, union_ns
from ledger.vocabulary import ENGINE_READY, SERVER_READY, WAITING

_FEWEST_WITHOUT_A_CLOCK = 3
_MOST = 3
_READY = (ENGINE_READY, SERVER_READY)
_IDLE_SHARE = 0.2
_MORE_WORK_SHARE = 0.1


class _Late(NamedTuple):
    """A rank that was later than the others with a stage."""

    late_ns: int
    own: Interval
    others_ns: int
    """How long the others took, at the median."""


def straggling_rank(evidence: Evidence) -> Iterator[Finding]:
    """A rank took longer with a stage than the others, and stopped later: an outermost stage, one at a time.

    The stake is the time for which the others waited: the slowest less the median of the others, and no
    more than the time from the median of their stops to its stop. A rank that only waits for a late one
    starts earlier and stops with it, and so is not late itself. Ranks of several hosts have no clock in
    common: there only what they took counts, and there must be three.
    """
    outermost = _outermost_stages(evidence)
    for ranks in _families(evidence.reduced.processes):
        if len(ranks) < (2 if evidence.is_one_clock else _FEWEST_WITHOUT_A_CLOCK):
            continue
        stages = [outermost.get(rank.process, {}) for rank in ranks]
        shared = set[tuple[str, str | None, int]](stages[0]).intersection(*stages[1:])
        late: defaultdict[tuple[str, str], list[_Late]] = defaultdict(list)
        for which in shared:
            found = _latest(evidence, [of_rank[which] for of_rank in stages])
            if found is not None:
                late[found.own.process, which[0]].append(found)
        stakes = {which: sum(one.late_ns for one in found) for which, found in late.items()}
        for which in sorted(stakes, key=lambda which: (-stakes[which], which))[:_MOST]:
            if evidence.matters(stakes[which]):
                yield _straggler(evidence, late[which], stakes[which], len(ranks))


def serial_processes(evidence: Evidence) -> Iterator[Finding]:
    """Processes of one parent started one after the other, each once the one before had started.

    Only ranks, and engines that say that they are ready, since others may need what the one before has
    made; and only where the one before was through: it worked nearly all the time until the next one began,
    and hardly any time after that. The stake is the work of all of them in the start but for the longest
    one, which the others would have been beside.
    """
    for in_row, working in _rows(evidence):
        yield from _row(evidence, in_row, working)


def _rows(evidence: Evidence) -> Iterator[tuple[list[Process], Mapping[str, Sequence[Span]]]]:
    """Yield the processes that started one after the other, with when each did something."""
    ready = {one.process: one.at_ns for one in reversed(evidence.reduced.milestones) if one.name in _READY}
    groups = list(_siblings(evidence.reduced.processes, ready))
    if not groups or not evidence.is_one_clock:
        return
    working = _working(evidence)
    for siblings in groups:
        row = sorted(
            (one for one in siblings if working.get(one.process)), key=lambda one: working[one.process][0]
        )
        in_row = row[:1]
        for before, after in pairwise(row):
            if _is_after(evidence, before, after, working, ready):
                in_row.append(after)
            elif len(in_row) > 1:
                break
            else:
                in_row = [after]
        if len(in_row) > 1:
            yield in_row, working


def are_in_row(evidence: Evidence) -> bool:
    """Tell whether some processes started one after the other, whether that matters or not."""
    return any(True for _ in _rows(evidence))


def compared_processes(processes: Sequence[Process], milestones: Iterable[Milestone]) -> set[str]:
    """Return the processes whose outermost intervals these rules compare."""
    ready = {one.process: one.at_ns for one in milestones if one.name in _READY}
    groups = chain(_families(processes), _siblings(processes, ready))
    return {process.process for group in groups for process in group}


def _families(processes: Iterable[Process]) -> Iterator[list[Process]]:
    """Yield the processes of each name that are ranks of one program: each has another rank."""
    families: defaultdict[str, list[Process]] = defaultdict(list)
    for process in processes:
        if process.rank is not None:
            families[family_of(process.name or "")].append(process)
    for ranks in families.values():
        if len(ranks) > 1 and len({one.rank for one in ranks}) == len(ranks):
            yield sorted(ranks, key=lambda one: one.rank or 0)


def _outermost_stages(evidence: Evidence) -> dict[str, dict[tuple[str, str | None, int], Interval]]:
    """Return the outermost intervals of each process that were completed, by stage, component and count."""
    found: defaultdict[str, dict[tuple[str, str | None, int], Interval]] = defaultdict(dict)
    counts: defaultdict[tuple[str, str, str | None], int] = defaultdict(int)
    for one in evidence.reduced.intervals:
        if one.depth == 0 and one.stage != WAITING and one.outcome == "completed":
            which = (one.process, one.stage, one.component)
            found[one.process][one.stage, one.component, counts[which]] = one
            counts[which] += 1
    return found


def _latest(evidence: Evidence, intervals: Sequence[Interval]) -> _Late | None:
    """Return the slowest of what several ranks did; None where it stopped no later than the others."""
    own = max(intervals, key=lambda one: (one.duration_ns or 0, one.process))
    others = [one for one in intervals if one is not own]
    others_ns = median_high(one.duration_ns or 0 for one in others)
    late_ns = (own.duration_ns or 0) - others_ns
    if evidence.is_one_clock:
        stop_ns, others_stop_ns = span_of(own).stop_ns, median_high(span_of(one).stop_ns for one in others)
        late_ns = _within(evidence, Span(max(others_stop_ns, stop_ns - late_ns), stop_ns))
    return _Late(late_ns, own, others_ns) if late_ns > 0 else None


def _within(evidence: Evidence, span: Span) -> int:
    return sum(
        max(0, min(span.stop_ns, window.stop_ns) - max(span.start_ns, window.start_ns))
        for window in evidence.windows
    )


def _straggler(evidence: Evidence, late: Sequence[_Late], stake_ns: int, ranks: int) -> Finding:
    own = longest_first(one.own for one in late)
    took_ns = sum(one.duration_ns or 0 for one in own)
    others_ns = sum(one.others_ns for one in late)
    rank = next(one.rank for one in evidence.reduced.processes if one.process == own[0].process)
    others = "the other" if ranks == 2 else f"the {ranks - 1} others"
    return evidence.finding(
        "straggling_rank",
        min(stake_ns, union_ns(map(span_of, own[:MOST_INTERVALS]))),
        f"rank {rank} took {took_ns / 1e9:.1f} s in {own[0].stage}, {others} {others_ns / 1e9:.1f} s",
        "Look at what is different there: its host, device, disk or cache",
        of=own[0],
        intervals=map(key_of, own),
    )


def _siblings(processes: Iterable[Process], ready: Mapping[str, int]) -> Iterator[list[Process]]:
    """Yield the processes of each name and parent that may all have started at once."""
    groups: defaultdict[tuple[str, int], list[Process]] = defaultdict(list)
    for process in processes:
        if process.parent_pid is not None and process.name:
            groups[family_of(process.name), process.parent_pid].append(process)
    for siblings in groups.values():
        ranks = {one.rank for one in siblings}
        are_ranks = None not in ranks and len(ranks) == len(siblings)
        if len(siblings) > 1 and (are_ranks or all(one.process in ready for one in siblings)):
            yield siblings


def _working(evidence: Evidence) -> dict[str, list[Span]]:
    """Return when each process did something, other than to wait."""
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for one in evidence.reduced.intervals:
        if one.depth == 0 and one.stage != WAITING:
            spans[one.process].append(span_of(one))
    return {process: merged(of_process) for process, of_process in spans.items()}


def _is_after(
    evidence: Evidence,
    before: Process,
    after: Process,
    working: Mapping[str, Sequence[Span]],
    ready: Mapping[str, int],
) -> bool:
    """Tell whether a process began when the one before was through with its start."""
    began_ns, next_ns = working[before.process][0].start_ns, working[after.process][0].start_ns
    if ready.get(before.process, next_ns) > next_ns:
        return False
    done_ns = sum(_length(span, began_ns, next_ns) for span in working[before.process])
    # What an engine does when it is ready is no part of its start.
    until_ns = ready.get(before.process) or max(window.stop_ns for window in evidence.windows)
    later_ns = sum(_length(span, next_ns, until_ns) for span in working[before.process])
    is_busy = any(span.start_ns < next_ns < span.stop_ns for span in working[before.process])
    idle_ns = next_ns - began_ns - done_ns
    return (
        not is_busy
        and idle_ns <= _IDLE_SHARE * (next_ns - began_ns)
        and later_ns <= _MORE_WORK_SHARE * done_ns
    )


def _length(span: Span, start_ns: int, stop_ns: int) -> int:
    return max(0, min(span.stop_ns, stop_ns) - max(span.start_ns, start_ns))


def _row(
    evidence: Evidence, in_row: Sequence[Process], working: Mapping[str, Sequence[Span]]
) -> Iterator[Finding]:
    """Yield the finding of processes that started one after the other, where it matters."""
    names_in_row = {one.process for one in in_row}
    intervals: defaultdict[str, list[Interval]] = defaultdict(list)
    for one in evidence.reduced.intervals:
        if one.process in names_in_row and one.depth == 0 and one.stage != WAITING:
            intervals[one.process].append(one)
    taken_ns = [within_windows_ns(evidence, intervals[one.process]) for one in in_row]
    named = longest_first(one for of_process in intervals.values() for one in of_process)[:MOST_INTERVALS]
    stake_ns = min(sum(taken_ns) - max(taken_ns), union_ns(within_windows(evidence, named)))
    if not evidence.matters(stake_ns):
        return
    name = family_of(in_row[0].name or "") or "unnamed"
    longest = max(taken_ns)
    yield evidence.finding(
        "serial_processes",
        stake_ns,
        f"{counted(len(in_row), name + ' process', name + ' processes')} started one after the other",
        f"Start them at once: the longest alone takes {longest / 1e9:.1f} s",
        intervals=map(key_of, named),
        role=None,
    )
