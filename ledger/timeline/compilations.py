"""What torch compiled, one record for each compile, and where Dynamo could not go on: a pure function.

A compile is an interval of torch's that begins one: a frame that Dynamo converts, a backward graph, or, with
neither around it, a function that is captured whole, a graph that is compiled alone, or a compiled graph that
is loaded. What else is known of it comes from the intervals inside it, from the `data` of their events, and
from torch's own record of the compile, which the claim of its `duration_us` carries.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple, get_args

from pydantic import JsonValue

from ledger.timeline.claim_data import claim_data
from ledger.timeline.compile_phases import (
    BACKWARD,
    BEGIN_ALWAYS,
    GRAPH,
    JOINT_GRAPH,
    LOAD,
    PhaseSpans,
    PhaseTimes,
    begins,
)
from ledger.timeline.records import Claim, Compilation, GraphBreak, Interval
from ledger.vocabulary import CacheAnswer, CompilationKind

_RECORD_BEGINS: Final = "duration_us="
"""The text of the claim whose `data.record` is torch's record of a compile."""

_GIVES_UP: Final = frozenset(("Unsupported", "RecompileLimitExceeded"))
"""Exceptions that say where Dynamo could not go on, whoever answers them."""

_COMPILED_AGAIN: Final = re.compile(r"/(\d{1,18})$")

_RANK_OF: Final[Mapping[str, int]] = {answer: rank for rank, answer in enumerate(get_args(CacheAnswer))}
"""Of several answers of one cache to one compile the first of these counts."""

_AUTOTUNE_ANSWERS: Final[Mapping[str, CacheAnswer]] = {
    "hit": "hit",
    "miss": "miss",
    "force_disabled": "disabled",
}
_FX_CACHES: Final = ("inductor_fx_local_cache", "inductor_fx_remote_cache")
_AOT_CACHES: Final = ("aotautograd_local_cache", "aotautograd_remote_cache")
_COUNTS: Final = ("_hit_count", "_miss_count")


class Compilations(NamedTuple):
    """What torch compiled in a session."""

    compilations: tuple[Compilation, ...]
    """By process and start."""
    graph_breaks: tuple[GraphBreak, ...]
    """In the order of their compiles."""


class _Function(NamedTuple):
    name: str | None
    file: str | None
    line: int | None


class _Break(NamedTuple):
    reason: str
    file: str | None
    line: int | None


@dataclass(slots=True)
class _Compile:
    """One compile, while what is known of it is collected."""

    root: Interval
    component: str | None
    compile_id: str | None = None
    facts: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """Fields of torch's record, and the data of the interval."""
    phases: PhaseSpans = field(default_factory=PhaseSpans)
    fx_answers: set[str] = field(default_factory=set[str])
    aot_answers: set[str] = field(default_factory=set[str])
    autotune_answers: set[str] = field(default_factory=set[str])
    bypass_reasons: dict[str, None] = field(default_factory=dict[str, None])
    has_load: bool = False


def compilations_of(intervals: Sequence[Interval], claims: Iterable[Claim]) -> Compilations:
    """Return what torch compiled in a session, and where it could not go on."""
    by_process: defaultdict[str, list[Interval]] = defaultdict(list)
    compiling = {each.process for each in intervals if begins(each, is_inside=False)}
    if not compiling:
        return Compilations((), ())
    for each in intervals:
        if each.process in compiling:
            by_process[each.process].append(each)
    records: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        if claim.source == "torch" and (claim.text or "").startswith(_RECORD_BEGINS):
            records[claim.process].append(claim)
    compilations: list[Compilation] = []
    graph_breaks: list[GraphBreak] = []
    for process, own in sorted(by_process.items()):
        compiles = _compiles(own, sorted(records[process], key=attrgetter("at_ns", "claim")))
        ordinals: Counter[str | None] = Counter()
        for each, function in zip(compiles, _functions(compiles), strict=True):
            ordinal = ordinals[each.compile_id]
            ordinals[each.compile_id] += 1
            breaks = _breaks(each, function)
            compilations.append(_compilation(each, ordinal, function, breaks))
            graph_breaks += [
                GraphBreak(each.root.session, process, each.compile_id, *place, count, ordinal)
                for place, count in Counter(breaks or ()).items()
            ]
    return Compilations(tuple(compilations), tuple(graph_breaks))


def _compiles(intervals: Iterable[Interval], records: Iterable[Claim]) -> list[_Compile]:
    """Return the compiles of one process, by start."""
    compiles: list[_Compile] = []
    compile_of: dict[int, _Compile] = {}
    components: dict[int, str] = {}
    # What encloses an interval began before it, or at the same moment and lies less deep.
    for each in sorted(intervals, key=attrgetter("start_ns", "depth", "start_seq")):
        above = each.parent if each.enclosing is None else each.enclosing
        owner = None if above is None else compile_of.get(above)
        if owner is not None and each.stage == owner.root.stage == LOAD and each.thread != owner.root.thread:
            # Graphs are loaded by several threads at once, and one may enclose another by chance.
            owner = None
        component = each.component
        if component is None and above is not None:
            component = components.get(above)
        if component is not None:
            components[each.interval] = component
        if begins(each, is_inside=owner is not None):
            owner = _Compile(each, component, facts=dict(each.data or {}))
            owner.compile_id = _text(owner.facts, "compile_id")
            compiles.append(owner)
        if owner is not None:
            compile_of[each.interval] = owner
            _add(each, owner)
    compiles.sort(key=lambda compiled: (compiled.root.start_ns, compiled.root.start_seq))
    for claim in records:
        data = claim.data or {}
        record, failed = data.get("record"), data.get("fail_type")
        named = (claim.interval,) if claim.interval is not None else claim_data(claim).intervals
        owner = next((compile_of[interval] for interval in named if interval in compile_of), None)
        if owner is not None and isinstance(record, dict):
            _take(owner.facts, record if failed is None else {**record, "fail_type": failed})
    return compiles


def _take(facts: dict[str, JsonValue], record: Mapping[str, JsonValue]) -> None:
    """Add a record to what is known; one of a graph that is compiled later has counts of its own."""
    counted = {
        name: max(_number(facts, name) or 0, _number(record, name) or 0)
        for name in record
        if name.endswith(_COUNTS) and name in facts
    }
    facts.update({**record, **counted})


def _functions(compiles: Iterable[_Compile]) -> Iterator[_Function]:
    """Yield each compile's function, which a backward record and a recompile that is refused don't name."""
    of_frame: dict[str, _Function] = {}
    for each in compiles:
        facts = each.facts
        function = _Function(
            _text(facts, "co_name"), _text(facts, "co_filename"), _number(facts, "co_firstlineno")
        )
        frame = (each.compile_id or "").rpartition("/")[0]
        if function.name is not None:
            of_frame[frame] = function
        elif each.root.stage in BEGIN_ALWAYS:
            function = of_frame.get(frame, function)
        yield function


def _add(interval: Interval, compiled: _Compile) -> None:
    """Add what an interval tells about the compile in which it lies."""
    compiled.phases.add(interval)
    compiled.has_load = compiled.has_load or interval.stage == LOAD
    text = interval.data_json
    if text is None:
        return
    if compiled.compile_id is None and '"compile_id"' in text:
        compiled.compile_id = _text(interval.data or {}, "compile_id")
    if '"cache_state"' in text and interval.stage in (GRAPH, JOINT_GRAPH):
        data = interval.data or {}
        answers = compiled.fx_answers if interval.stage == GRAPH else compiled.aot_answers
        if (answer := _text(data, "cache_state")) is not None:
            answers.add(answer)
        if (reason := _text(data, "cache_bypass_reason")) is not None:
            compiled.bypass_reasons[reason] = None
    if '"autotune_cache"' in text:
        states = (interval.data or {}).get("autotune_cache")
        for state in states if isinstance(states, dict) else ():
            if state in _AUTOTUNE_ANSWERS:
                compiled.autotune_answers.add(_AUTOTUNE_ANSWERS[state])


def _compilation(
    compiled: _Compile, ordinal: int, function: _Function, breaks: Sequence[_Break] | None
) -> Compilation:
    root, facts = compiled.root, compiled.facts
    aot_answers = compiled.aot_answers or _counted(facts, *_AOT_CACHES)
    if not aot_answers and compiled.has_load:
        aot_answers = {"hit"}
    has_triton = _text(facts, "triton_kernel_compile_times_us") is not None
    times: Sequence[int | None] = (None,) * len(PhaseTimes._fields)
    if root.stop_ns is not None:
        times = compiled.phases.times(root.start_ns, root.stop_ns, has_triton)
    has_code = facts.get("has_guarded_code", False if facts.get("fallback") == "eager" else None)
    return Compilation(
        root.session,
        root.process,
        compiled.compile_id,
        ordinal,
        _kind(compiled),
        _text(facts, "recompile_reason"),
        root.role,
        *function,
        root.outcome,
        root.error,
        root.start_ns,
        root.duration_ns,
        *times,
        fx_graph_cache=_answer(compiled.fx_answers or _counted(facts, *_FX_CACHES)),
        aot_cache=_answer(aot_answers),
        autotune_cache=_answer(compiled.autotune_answers),
        remote_cache=_answer(_counted(facts, _FX_CACHES[1]) | _counted(facts, _AOT_CACHES[1])),
        cache_bypass_reason="; ".join(compiled.bypass_reasons) or None,
        graph_breaks=None if breaks is None else len(breaks),
        guards=_number(facts, "guard_count"),
        interval=root.interval,
        component=compiled.component,
        error_text=_text(facts, "fail_reason"),
        has_code=has_code if isinstance(has_code, bool) else None,
    )


def _kind(compiled: _Compile) -> CompilationKind:
    if compiled.root.stage == BACKWARD:
        return "backward"
    if compiled.root.stage == LOAD:
        return "load"
    # An id goes up with each attempt, also where an earlier one left no code behind.
    there_before = _number(compiled.facts, "accumulated_cache_size")
    if there_before is None:
        again = _COMPILED_AGAIN.search(compiled.compile_id or "")
        there_before = int(again[1]) if again else 0
    is_again = there_before > 0 or _text(compiled.facts, "recompile_reason") is not None
    return "recompile" if is_again else "first"


def _breaks(compiled: _Compile, function: _Function) -> list[_Break] | None:
    """Return where Dynamo could not go on; None where that is not known."""
    facts = compiled.facts
    noted = facts.get("graph_breaks")
    breaks = [
        _Break(reason, _text(each, "file"), _number(each, "line"))
        for each in (noted if isinstance(noted, list) else ())
        if isinstance(each, dict) and (reason := _text(each, "reason")) is not None
    ]
    if _text(facts, "fail_type") in _GIVES_UP and (reason := _text(facts, "fail_reason")) is not None:
        file, line = _text(facts, "fail_user_frame_filename"), _number(facts, "fail_user_frame_lineno")
        breaks.append(_Break(reason, *(function[1:] if file is None else (file, line))))
    return breaks if breaks or isinstance(noted, list) else None


def _counted(facts: Mapping[str, JsonValue], cache: str, remote: str | None = None) -> set[str]:
    """Return what a cache answered, by torch's counts; `remote` is the one that is asked after a miss."""
    hits, misses = _number(facts, f"{cache}_hit_count") or 0, _number(facts, f"{cache}_miss_count") or 0
    if remote is not None:
        remote_hits = _number(facts, f"{remote}_hit_count") or 0
        hits, misses = hits + remote_hits, misses - remote_hits
    return {*(("miss",) if misses > 0 else ()), *(("hit",) if hits > 0 else ())}


def _answer(answers: Iterable[str]) -> str | None:
    """Return the one of several answers that counts; None where the cache was not asked."""
    return min(answers, key=lambda answer: (_RANK_OF.get(answer, -1), answer), default=None)


def _text(facts: Mapping[str, JsonValue], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) and value else None


def _number(facts: Mapping[str, JsonValue], name: str) -> int | None:
    value = facts.get(name)
    # SQLite holds no larger one; a bool is an int as well.
    return value if type(value) is int and abs(value) < 1 << 63 else None
