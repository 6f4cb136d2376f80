"""The finding of a start that was measured on a machine that was busy with something else as well."""

from collections import defaultdict
from collections.abc import Iterator

from pydantic import JsonValue

from ledger.timeline.findings.evidence import MOST_INTERVALS, Evidence, key_of
from ledger.timeline.findings.finding import Finding, fitting
from ledger.timeline.findings.subjects import CPU_WAIT_NS
from ledger.timeline.findings.window_time import longest_first, span_of, within_windows_ns
from ledger.timeline.records import Interval
from ledger.timeline.spans import union_ns

_SHARE = 0.2


def loaded_machine(evidence: Evidence) -> Iterator[Finding]:
    """A thread of an engine waited for a processor for a fifth of the start.

    The stake is what the thread that waited longest did wait, in its outermost stages: of each no more than
    what of the stage lies in the start. Threads that wait beside each other are not added up.
    """
    waits: defaultdict[tuple[str, str | None], list[tuple[int, Interval]]] = defaultdict(list)
    for one in evidence.reduced.intervals:
        # Of hundreds of thousands hardly one has it.
        if one.data_json is not None and CPU_WAIT_NS in one.data_json and one.duration_ns is not None:
            waited_ns = min(_ns((one.data or {}).get(CPU_WAIT_NS)), within_windows_ns(evidence, [one]))
            if waited_ns > 0:
                waits[one.process, one.thread].append((waited_ns, one))
    total_ns = {thread: sum(waited_ns for waited_ns, _ in of_thread) for thread, of_thread in waits.items()}
    most = max(total_ns, key=lambda thread: (total_ns[thread], thread[0], thread[1] or ""), default=None)
    if most is None or not evidence.matters(total_ns[most], _SHARE):
        return
    stage = max(waits[most], key=lambda wait: (wait[0], -wait[1].interval))[1].stage
    intervals = longest_first(one for _, one in waits[most])[:MOST_INTERVALS]
    yield evidence.finding(
        "loaded_machine",
        min(total_ns[most], union_ns(map(span_of, intervals))),
        fitting(
            f"{evidence.names.get(most[0], most[0])} waited for a processor, most of it in {stage}",
            f"{evidence.names.get(most[0], most[0])} waited for a processor",
        ),
        "Measure on an idle machine, or give it more processors",
        process=most[0],
        intervals=map(key_of, intervals),
    )


def _ns(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
