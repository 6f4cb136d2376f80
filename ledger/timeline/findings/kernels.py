"""The finding of kernels that Triton compiled just in time."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from ledger.formatting import counted
from ledger.timeline.findings.enclosing import innermost_around
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.slowest import slowest_within_start
from ledger.timeline.records import Interval, Process
from ledger.timeline.spans import Span, merged


def kernels_compiled(evidence: Evidence) -> Iterator[Finding]:
    """Kernels that no cache had were compiled before ready, with the launchers that were built for them.

    The stake is the union of these. Not of kernels that belong to a compile of torch's, in its own process or
    in one that it started to have them compiled: a cache that has the compile has no need of them.
    """
    kernels = [
        one
        for one in evidence.by_stage["triton_compile"]
        if one.source != "torch" and (one.data or {}).get("cache") == "miss"
    ]
    if not kernels:
        return
    builds = [one for one in evidence.by_stage["triton_build"] if one.source != "torch"]
    loads = innermost_around(evidence.by_stage["triton_load"], builds).values()
    is_for_compile = _for_compiles(evidence)
    kernels, launchers = (
        [one for one in group if not is_for_compile(one) and _is_before_ready(evidence, one)]
        for group in (kernels, [*builds, *loads])
    )
    if not kernels:
        return
    compiling = {one.process for one in kernels}
    launchers = [one for one in launchers if one.process in compiling]
    found = slowest_within_start(evidence, [*kernels, *launchers])
    if not evidence.matters(found.stake_ns):
        return
    number = sum(one.process == found.process for one in kernels)
    has_loaded = any(
        one.process == found.process and (one.data or {}).get("cache") == "hit"
        for one in evidence.by_stage["torch_compile"]
    )
    why = "though the model was loaded" if has_loaded else "which no cache had"
    yield evidence.finding(
        "kernels_compiled",
        found.stake_ns,
        f"{counted(number, 'kernel')} compiled{found.on_ranks}, {why}",
        "Set TRITON_CACHE_DIR to a folder that is kept between starts",
        process=found.process,
        intervals=found.keys,
    )


def _is_before_ready(evidence: Evidence, interval: Interval) -> bool:
    return not evidence.windows or interval.start_ns < max(window.stop_ns for window in evidence.windows)


def _for_compiles(evidence: Evidence) -> Callable[[Interval], bool]:
    """Return the question whether an interval lies within a compile of its process, or of one above it."""
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for each in evidence.compiled.compilations:
        if each.duration_ns is not None:
            spans[each.process].append(Span(each.start_ns, each.start_ns + each.duration_ns))
    if not spans:
        return lambda interval: False
    above = _processes_above(evidence.reduced.processes)
    compiles = {
        process: merged(span for one in (process, *above[process]) for span in spans.get(one, ()))
        for process in above
    }

    def is_for_compile(interval: Interval) -> bool:
        of_process = compiles.get(interval.process, [])
        at = bisect_right(of_process, interval.start_ns, key=lambda span: span.start_ns) - 1
        return at >= 0 and interval.start_ns < of_process[at].stop_ns

    return is_for_compile


def _processes_above(processes: Iterable[Process]) -> Mapping[str, list[str]]:
    """Return those that started a process, and those that started these."""
    by_pid: dict[tuple[str | None, int | None], Process] = {
        (one.host, one.pid): one for one in processes if one.pid is not None
    }
    above: dict[str, list[str]] = {}
    for process in processes:
        own = above[process.process] = list[str]()
        parent = by_pid.get((process.host, process.parent_pid))
        while parent is not None and parent.process not in (process.process, *own):
            own.append(parent.process)
            parent = by_pid.get((parent.host, parent.parent_pid))
    return above
