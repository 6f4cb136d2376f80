"""The parts of a model that a process compiled, and why no cache gave them.

A part is what an engine's monitor timed as one compile, or, outside of that or where its monitor does not say
what the cache answered, one compile of torch's. What was loaded is none.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from ledger.timeline.compile_phases import BACKWARD, GRAPH, JOINT_GRAPH
from ledger.timeline.findings.enclosing import innermost_around
from ledger.timeline.findings.evidence import Evidence, key_of
from ledger.timeline.records import Compilation, Interval, IntervalKey

Why = Literal["empty", "load failed", "bypassed", "not known"]

_AHEAD_OF_TIME: Final = "compile_fx_aot"
"""torch compiles for a package that is loaded elsewhere: no cache is asked."""
_NOT_ASKED: Final = ("bypass", "disabled")
_LOADED: Final = ("hit", "reused")


class CompiledPart(NamedTuple):
    """A part that was compiled."""

    why: Why
    process: str
    role: str | None
    component: str | None
    is_torchs: bool
    """Whether torch's own cache is meant, and not an engine's."""
    reason: str | None
    intervals: tuple[Interval, ...]
    """What would not have run, had a cache given it."""


class _Inside(NamedTuple):
    """What lies within a compile that a monitor timed."""

    graphs: list[Interval]
    backends: list[Interval]
    compilations: list[Compilation]


def compiled_parts(evidence: Evidence) -> list[CompiledPart]:
    """Return the parts that were compiled, of one process in the order of their starts."""
    roots = evidence.compiles
    monitors = _monitors(evidence)
    inside, alone = _sorted_into(evidence, monitors, roots)
    of_torch = _Torchs(evidence, roots)
    found: list[CompiledPart] = []
    for monitor in monitors:
        answer = _text(monitor.data, "cache")
        if monitor.outcome != "completed" or answer not in (None, "compiled"):
            continue
        within = inside[key_of(monitor)]
        has_own_cache = bool(within.graphs or within.backends)
        if answer == "compiled" and (has_own_cache or not within.compilations):
            found += _compiled_by_engine(monitor, within)
        elif not within.compilations:
            part = CompiledPart(
                "not known", monitor.process, monitor.role, monitor.component, False, None, (monitor,)
            )
            found.append(part)
        else:
            found += of_torch.parts(within.compilations, monitor.role, monitor.component)
    found += of_torch.parts(alone, None, None)
    found.sort(key=lambda part: (part.process, part.intervals[0].start_ns))
    return _with_failed_loads(found, evidence)


def _monitors(evidence: Evidence) -> list[Interval]:
    """Return the compiles that are timed as one; an imported log's only where nothing else timed any."""
    timed = [one for one in evidence.by_stage["torch_compile"] if one.source != "torch"]
    recorded = [one for one in timed if one.source != "log"]
    return recorded or timed


def _sorted_into(
    evidence: Evidence, monitors: Sequence[Interval], roots: Mapping[IntervalKey, Interval]
) -> tuple[Mapping[IntervalKey, _Inside], list[Compilation]]:
    """Return what lies within each of the monitors, and torch's compiles that lie in none.

    Those that came after the start of one that has not ended lie in that one.
    """
    unended: dict[str, int] = {}
    for monitor in monitors:
        if monitor.outcome in ("open", "abandoned"):
            unended[monitor.process] = min(monitor.start_ns, unended.get(monitor.process, monitor.start_ns))
    inside = {key_of(monitor): _Inside([], [], []) for monitor in monitors}
    graphs = [
        one
        for stage in ("graph_compile", "graph_load")
        for one in evidence.by_stage[stage]
        if one.source != "torch"
    ]
    backends = [one for one in evidence.by_stage[JOINT_GRAPH] if one.source != "torch"]
    around = innermost_around(monitors, [*graphs, *backends, *roots.values()])
    for one in graphs:
        if (monitor := around.get(key_of(one))) is not None:
            inside[key_of(monitor)].graphs.append(one)
    for one in backends:
        if (monitor := around.get(key_of(one))) is not None:
            inside[key_of(monitor)].backends.append(one)
    alone: list[Compilation] = []
    for each in evidence.compiled.compilations:
        monitor = around.get(IntervalKey(each.process, each.interval))
        if monitor is not None:
            inside[key_of(monitor)].compilations.append(each)
        elif each.process not in unended or each.start_ns < unended[each.process]:
            alone.append(each)
    return inside, alone


def _compiled_by_engine(monitor: Interval, inside: _Inside) -> Iterator[CompiledPart]:
    """Yield the part that a monitor timed, where anything in it was compiled.

    An engine without a cache for the whole may have some of its graphs: then only the others were compiled.
    """
    answers = [(graph, _text(graph.data, "cache")) for graph in inside.graphs if graph.stop_ns is not None]
    unreadable = tuple(graph for graph, answer in answers if answer == "outdated")
    compiled = tuple(graph for graph, answer in answers if answer not in _LOADED)
    has_loaded = bool(unreadable) or any(answer == "hit" for _, answer in answers)
    if has_loaded and not compiled:
        return
    why: Why = "load failed" if unreadable else "empty"
    if any(_text(backend.data, "cache") == "disabled" for backend in inside.backends):
        why = "bypassed"
    named = (backend.component for backend in inside.backends if backend.component is not None)
    yield CompiledPart(
        why,
        monitor.process,
        monitor.role,
        monitor.component or next(named, None),
        False,
        None,
        unreadable or (compiled if has_loaded else (monitor,)),
    )


class _Torchs:
    """What torch compiled itself."""

    def __init__(self, evidence: Evidence, roots: Mapping[IntervalKey, Interval]) -> None:
        of_torch = [
            one
            for stage in (JOINT_GRAPH, GRAPH)
            for one in evidence.by_stage[stage]
            if one.source == "torch" and one.stop_ns is not None
        ]
        self._roots = roots
        self._cached: defaultdict[IntervalKey, list[Interval]] = defaultdict(list)
        around = innermost_around(roots.values(), of_torch)
        for one in of_torch:
            if (root := around.get(key_of(one))) is not None:
                self._cached[key_of(root)].append(one)

    def parts(
        self, compilations: Sequence[Compilation], role: str | None, component: str | None
    ) -> Iterator[CompiledPart]:
        """Yield what was compiled, of some compiles; role and component where a compile has none itself."""
        for each in compilations:
            root = self._roots[IntervalKey(each.process, each.interval)]
            why = None if root.stop_ns is None or root.stage == _AHEAD_OF_TIME else _why(each)
            if why is not None:
                # Dynamo runs in every start: a cache spares what comes after it.
                intervals = [root] if root.stage == BACKWARD else self._cached[key_of(root)] or [root]
                yield CompiledPart(
                    why,
                    each.process,
                    each.role or role,
                    each.component or component,
                    True,
                    each.cache_bypass_reason if why == "bypassed" else None,
                    tuple(intervals),
                )


def _why(compilation: Compilation) -> Why | None:
    """Return why a compile's code came from no cache of torch's; None where it did, or nothing was asked."""
    if compilation.kind == "load" or compilation.outcome != "completed":
        return None
    fx, aot = compilation.fx_graph_cache, compilation.aot_cache
    if fx in _NOT_ASKED:
        return "bypassed"
    if fx == "miss":
        return "empty"
    if aot in _NOT_ASKED:
        return "bypassed"
    return "empty" if aot == "miss" else None


def _with_failed_loads(parts: Sequence[CompiledPart], evidence: Evidence) -> list[CompiledPart]:
    """Return the parts; one that was compiled after a load had failed has the load, and its reason."""
    found = list(parts)
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, part in enumerate(parts):
        if not part.is_torchs:
            places[part.process].append(place)
    stops = {
        process: list(accumulate((_last_stop_ns(parts[place]) for place in own), max))
        for process, own in places.items()
    }
    for load in evidence.by_stage["aot_load"]:
        if _text(load.data, "cache") != "failed":
            continue
        # In a log, a load has no part yet, and a compile may seem to begin a second too early.
        at = bisect_right(stops.get(load.process, ()), load.start_ns)
        place = next((place for place in places[load.process][at:] if _is_of(load, parts[place])), None)
        part = CompiledPart("load failed", load.process, load.role, load.component, False, None, ())
        if place is not None:
            part = found[place]
        part = part._replace(
            why="load failed",
            reason=_text(load.data, "reason") or load.error,
            intervals=(load, *part.intervals),
        )
        if place is None:
            found.append(part)
        else:
            found[place] = part
    return [part for part in found if part.why != "not known"]


def _is_of(load: Interval, part: CompiledPart) -> bool:
    return load.role in (None, part.role) and load.component in (None, part.component)


def _last_stop_ns(part: CompiledPart) -> int:
    return max(one.start_ns if one.stop_ns is None else one.stop_ns for one in part.intervals)


def _text(data: Mapping[str, JsonValue] | None, name: str) -> str | None:
    value = (data or {}).get(name)
    return value if isinstance(value, str) and value else None
