"""Findings of what was compiled since a cache had nothing for it, could not be loaded, or was passed by."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from ledger.formatting import cut
from ledger.timeline.findings.compiled_parts import CompiledPart, Why, compiled_parts
from ledger.timeline.findings.evidence import Evidence
from ledger.timeline.findings.finding import ClaimKey, Finding
from ledger.timeline.findings.slowest import Slowest, slowest_within_start
from ledger.timeline.records import IntervalKey
from ledger.vocabulary import FindingName

_REASON: Final = 40


class _Group(NamedTuple):
    """The same part in every process that compiled it for the same kind of reason."""

    parts: list[CompiledPart]
    slowest: Slowest

    @property
    def compiled(self) -> str:
        """What was compiled, and on how many ranks."""
        return f"{self.name} compiled{self.slowest.on_ranks}"

    @property
    def name(self) -> str:
        """What to call the part."""
        return self.parts[0].component or self.parts[0].role or "the model"

    @property
    def is_torchs(self) -> bool:
        """Whether torch's own cache is meant, and not an engine's."""
        return self.parts[0].is_torchs

    @property
    def reason(self) -> str | None:
        """The reason of the part that took longest; of another one, where that has none."""
        longest = self.slowest.intervals[0]
        parts = sorted(self.parts, key=lambda part: longest not in part.intervals)
        return next((cut(part.reason, _REASON) for part in parts if part.reason is not None), None)


def compiled_without_cache(evidence: Evidence) -> Iterator[Finding]:
    """What was compiled: the cache had nothing for it, could not be loaded, or was passed by.

    The stake is the time of the compile, with that of the failed load. Where torch's own cache is meant it is
    without Dynamo, which runs in every start. What torch compiles ahead of time into a package counts for
    nothing, nor does it that torch's cache is off in favour of an engine's. Whether the cache had nothing
    because its key is not what it was in the start before is told by the ledger's view `findings`.
    """
    groups: defaultdict[tuple[Why, str | None, str | None, bool], list[CompiledPart]] = defaultdict(list)
    for part in compiled_parts(evidence):
        groups[part.why, part.role, part.component, part.is_torchs].append(part)
    for (why, role, component, _), parts in groups.items():
        slowest = slowest_within_start(evidence, (one for part in parts for one in part.intervals))
        if not evidence.matters(slowest.stake_ns):
            continue
        group = _Group(parts, slowest)
        name, summary, advice = _WORDS[why](group)
        yield evidence.finding(
            name,
            slowest.stake_ns,
            summary,
            advice,
            process=slowest.process,
            role=role,
            component=component,
            intervals=slowest.keys,
            claims=_claims_without(evidence, parts) if why == "load failed" else (),
        )


_Words = tuple[FindingName, str, str]


def _empty(group: _Group) -> _Words:
    # The view puts what it knows of the key in place of "the cache had nothing for it".
    if group.is_torchs:
        advice = "Set TORCHINDUCTOR_CACHE_DIR to a folder that is kept between starts"
    else:
        advice = "Keep the compile cache's folder from start to start"
    return "cache_empty", f"{group.compiled}: the cache had nothing for it", advice


def _load_failed(group: _Group) -> _Words:
    reason = "" if group.reason is None else f": {group.reason}"
    return (
        "cache_load_failed",
        f"{group.name} could not be loaded{group.slowest.on_ranks}{reason}",
        "Mend what the reason says, or empty the compile cache once",
    )


def _bypassed(group: _Group) -> _Words:
    if group.is_torchs:
        because = "" if group.reason is None else f": {group.reason}"
        advice = "Change what the reason says; see the query `cache_answers`"
        return "cache_bypassed", f"{group.compiled} past torch's cache{because}", advice
    advice = "Turn the engine's compile cache on again"
    return "cache_bypassed", f"{group.compiled}: the engine's cache is turned off", advice


_WORDS: Final[Mapping[Why, Callable[[_Group], _Words]]] = {
    "empty": _empty,
    "load failed": _load_failed,
    "bypassed": _bypassed,
}


def _claims_without(evidence: Evidence, parts: list[CompiledPart]) -> list[ClaimKey]:
    """Return the claims that lack the time of these failed loads."""
    loads = [part.intervals[0] for part in parts]
    # The failure is the load's, or that of what timed it.
    failed = {
        IntervalKey(load.process, each)
        for load in loads
        for each in (load.interval, load.enclosing)
        if each is not None
    }
    return [
        ClaimKey(cause.process, cause.claim)
        for cause in evidence.reconciled.causes
        if cause.cause == "lost_on_failure" and not failed.isdisjoint(cause.intervals)
    ]
