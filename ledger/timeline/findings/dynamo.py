"""Findings of what Dynamo compiled again, or in pieces."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Final, NamedTuple, TypeVar

from ledger.formatting import counted
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import Finding, fitting
from ledger.timeline.findings.slowest import Slowest, slowest
from ledger.timeline.records import Compilation, GraphBreak, IntervalKey

_MOST: Final = 3
_MINIMUM_NS: Final = 100_000_000
_SHARE: Final = 0.02

_VERSION: Final = re.compile(r"^\s*\d{1,9}/\d{1,9}: ")
"""What a reason begins with: the version whose guard failed."""
_ASKED_AT: Final = "  #"
"""What follows a guard: the line of the program that asked for it."""
_RESUMED: Final = re.compile(r"^torch_dynamo_resume_in_(.*)_at_(\d{1,9})$")
"""The name of the piece after a break: that of the function, and its line."""
_MISMATCH: Final = re.compile(
    r"tensor '(?P<name>.+?)' (?P<what>[\w ]+?) mismatch(?: at index (?P<index>\d{1,9}))?\."
    r" expected (?P<before>.+?), actual (?P<now>.+)"
)
"""A guard of a tensor, as it is written out."""
_BUILTIN: Final = re.compile(r"builtin operator `([^`\n]+)`")
"""What a break of the reason "Failed to trace builtin operator" explains."""

_ADVICE: Final = (
    ("size mismatch", "Mark the size dynamic: torch._dynamo.mark_dynamic(), or dynamic=True"),
    ("stride mismatch", "Pass tensors of one layout: contiguous() before the call"),
    ("dtype mismatch", "Pass tensors of one dtype, or compile a function for each"),
    ("grad_mode", "Call it always under torch.no_grad(), or never"),
    ("requires_grad", "Pass inputs that always require gradients, or never"),
    ("GLOBAL_STATE", "Leave torch's global settings as they are between the calls"),
    (" == ", "Pass what changes as a tensor, or keep it constant"),
)
"""What to do by what the guard says; the first that matches counts."""
_ANY_ADVICE: Final = "See why: the query `recompiles`, or TORCH_LOGS=recompiles"


class _Function(NamedTuple):
    """A function that was compiled; of the piece after a break, the line is that of the break."""

    name: str | None
    file: str | None
    line: int | None

    def __str__(self) -> str:
        resumed = _RESUMED.match(self.name or "")
        name = resumed[1] if resumed else self.name or "a function"
        return f"{name}{_place(self.file, self.line, ' ({})')}"

    @property
    def place(self) -> str:
        """Its file and line; its name, where there is no file."""
        return _place(self.file, self.line, "{}") or str(self)


class _Break(NamedTuple):
    """A place where Dynamo could not go on, and why."""

    file: str | None
    line: int | None
    reason: str


def recompiles(evidence: Evidence) -> Iterator[Finding]:
    """Functions that were compiled again, the worst three, each with the guard that cost most.

    The stake is the time of these compiles, with their backward graphs, in the slowest process. A program may
    recompile at any time: so they are weighed against all that torch compiled, and not against the start.
    """
    by_function: defaultdict[_Function, list[Compilation]] = defaultdict(list)
    again: dict[tuple[str, str | None], _Function] = {}
    for each in evidence.compiled.compilations:
        # What is compiled after a reset has the ids from before it.
        key = (each.process, each.compile_id)
        if each.kind == "recompile":
            again[key] = _Function(each.function, each.file, each.line)
        elif each.kind == "first":
            again.pop(key, None)
        if key in again and each.kind in ("recompile", "backward"):
            by_function[again[key]].append(each)
    if not by_function:
        return
    all_ns = slowest(evidence, evidence.compiles.values()).stake_ns
    minimum_ns = max(_MINIMUM_NS, _SHARE * all_ns)
    for (function, compiled), found in _worst(evidence, by_function.items(), minimum_ns):
        own = [each for each in compiled if each.process == found.process and each.kind == "recompile"]
        guard = _costliest_guard(own)
        has_reached_limit = any(each.has_code is False for each in own)
        often = " reached the limit" if has_reached_limit else f", {counted(len(own), 'time')} more"
        why = f"{often}{found.on_ranks}: {_in_short(guard)}"
        yield evidence.finding(
            "recompiles",
            found.stake_ns,
            fitting(f"{function}{why}", f"{function.place}{why}"),
            next((advice for sign, advice in _ADVICE if sign in guard), _ANY_ADVICE),
            process=found.process,
            role=own[0].role,
            component=own[0].component,
            intervals=found.keys,
        )


def graph_breaks(evidence: Evidence) -> Iterator[Finding]:
    """Places where Dynamo could not go on, the worst three.

    What a break costs is not recorded: it slows each call, and pieces are compiled that would have been one.
    The stake is the compile time of the pieces after the break; where the frame was given up, that of the
    attempt. It is at most what mending spares, since what is in those pieces has to be compiled in any case.
    As each call pays too, a tenth of a second is enough. A recompile that is refused is none here, nor is a
    compile that failed: the program was told.
    """
    by_key = {(each.process, each.compile_id, each.ordinal): each for each in evidence.compiled.compilations}
    pieces = _Pieces(evidence)
    first_of: dict[_Break, Compilation] = {}
    lost: defaultdict[_Break, dict[IntervalKey, Compilation]] = defaultdict(dict)
    functions: set[tuple[_Break, str, str | None, str | None]] = set()
    for each in evidence.compiled.graph_breaks:
        broken = by_key[each.process, each.compile_id, each.ordinal]
        has_no_code = broken.has_code is False
        if has_no_code and (broken.kind == "recompile" or broken.outcome == "failed"):
            continue
        place = _Break(each.file, each.line, _reason_of_break(each.reason))
        first_of.setdefault(place, broken)
        if has_no_code:
            lost[place][_key(broken)] = broken
        elif (function := (place, each.process, broken.file, broken.function)) not in functions:
            functions.add(function)
            lost[place].update((_key(piece), piece) for piece in pieces.after(each, broken))
    groups = ((place, list(compiled.values())) for place, compiled in lost.items())
    for (place, _), found in _worst(evidence, groups, _MINIMUM_NS):
        first = first_of[place]
        where = _place(place.file, place.line, "{}") or first.function or "a function"
        yield evidence.finding(
            "graph_breaks",
            found.stake_ns,
            fitting(f"{where}{found.on_ranks}: {place.reason}"),
            "Take it out of the compiled function; see the query `graph_breaks`",
            process=found.process,
            role=first.role,
            component=first.component,
            intervals=found.keys,
        )


class _Pieces:
    """The compiles that go on after a break, by process, file and function, and then by line."""

    def __init__(self, evidence: Evidence) -> None:
        self._pieces: defaultdict[_Key, defaultdict[int | None, list[Compilation]]] = defaultdict(
            lambda: defaultdict(list)
        )
        broken = {(each.process, each.file, each.line) for each in evidence.compiled.graph_breaks}
        for each in evidence.compiled.compilations:
            if (resumed := _RESUMED.match(each.function or "")) is not None:
                of_function = self._pieces[each.process, each.file, resumed[1]]
                line = int(resumed[2])
                of_function[line].append(each)
                if (each.process, each.file, line) not in broken:
                    of_function[None].append(each)

    def after(self, broken: GraphBreak, compilation: Compilation) -> Sequence[Compilation]:
        """Return the pieces after a break: those of its line.

        Where it lies in what the function calls, those of the function's lines that have no break themselves.
        """
        function = compilation.function or ""
        resumed = _RESUMED.match(function)
        key = (compilation.process, compilation.file, resumed[1] if resumed else function)
        of_function = self._pieces.get(key)
        if of_function is None:
            return ()
        is_own = broken.file == compilation.file and broken.line in of_function
        return of_function.get(broken.line if is_own else None, ())


_Key = tuple[str, str | None, str]
_Subject = TypeVar("_Subject")


def _worst(
    evidence: Evidence, groups: Iterable[tuple[_Subject, Sequence[Compilation]]], minimum_ns: float
) -> list[tuple[tuple[_Subject, Sequence[Compilation]], Slowest]]:
    """Return the groups of compiles that took longest, with the process in which each did."""
    found = [
        (
            (subject, compiled),
            slowest(evidence, [evidence.compiles[_key(each)] for each in compiled]),
        )
        for subject, compiled in groups
        if compiled
    ]
    found.sort(key=lambda group: -group[1].stake_ns)
    return [group for group in found[:_MOST] if group[1].stake_ns >= minimum_ns]


def _key(compilation: Compilation) -> IntervalKey:
    return IntervalKey(compilation.process, compilation.interval)


def _costliest_guard(compiled: Iterable[Compilation]) -> str:
    """Return the guard because of which most time passed."""
    times_ns: defaultdict[str, int] = defaultdict(int)
    for each in compiled:
        times_ns[_guard(each.reason)] += each.duration_ns or 0
    return max(times_ns, key=lambda guard: times_ns[guard])


def _guard(reason: str | None) -> str:
    if reason is None:
        return "torch gives no reason"
    return _VERSION.sub("", _first_line(reason)).partition(_ASKED_AT)[0].strip()


def _in_short(guard: str) -> str:
    """Return a guard; one of a tensor as `x.size(0) 32 → 24`."""
    found = _MISMATCH.fullmatch(guard)
    if found is None:
        return guard
    index = "" if found["index"] is None else f"({found['index']})"
    return f"{found['name']}.{found['what']}{index} {found['before']} → {found['now']}"


def _reason_of_break(reason: str) -> str:
    """Return the first line of a reason, with the builtin that it is about."""
    first, builtin = _first_line(reason), _BUILTIN.search(reason)
    return f"{first} {builtin[1]}" if builtin and first.endswith("builtin operator") else first


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()


def _place(file: str | None, line: int | None, form: str) -> str:
    """Return a file's name with the line; empty where it is not known."""
    return "" if file is None else form.format(PurePath(file).name + ("" if line is None else f":{line}"))
