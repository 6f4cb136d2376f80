"""Findings of what a start loads before it can compute: packages and weights."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ledger.formatting import counted
from ledger.timeline.findings.evidence import MOST_INTERVALS, Evidence, key_of
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.window_time import longest_first, span_of, within_windows_ns
from ledger.timeline.records import Interval, IntervalKey
from ledger.timeline.spans import union_ns
from ledger.vocabulary import IMPORT

_IMPORTS_SHARE = 0.2
_LONG_IMPORTS_NS = 1_000_000_000
_LONG_IMPORTS_SHARE = 0.1
_WEIGHTS_SHARE = 0.1


def slow_imports(evidence: Evidence) -> Iterator[Finding]:
    """A fifth of the start is imports, or a second and a tenth of it: the package that takes most.

    The stake is what is charged to the modules of that package, without what these import of others.
    """
    charged: defaultdict[str, int] = defaultdict(int)
    modules: defaultdict[str, dict[IntervalKey, None]] = defaultdict(dict)
    for piece in evidence.pieces:
        if piece.stage == IMPORT and piece.process is not None and piece.interval is not None:
            package = _package(piece.component)
            charged[package] += piece.duration_ns
            modules[package][IntervalKey(piece.process, piece.interval)] = None
    total_ns = sum(charged.values())
    is_long = total_ns >= _LONG_IMPORTS_NS and total_ns >= _LONG_IMPORTS_SHARE * evidence.start_ns
    if not (is_long or evidence.matters(total_ns, _IMPORTS_SHARE)):
        return
    package = max(charged, key=lambda name: (charged[name], name))
    by_key = {key_of(one): one for one in evidence.by_stage[IMPORT]}
    outermost = {_outermost(key, package, by_key): None for key in modules[package]}
    intervals = longest_first(by_key[key] for key in outermost)[:MOST_INTERVALS]
    stake_ns = min(charged[package], union_ns(map(span_of, intervals)))
    if not evidence.matters(stake_ns):
        return
    processes = {one.process for one in intervals}
    several = f" (in {len(processes)} processes)" if len(processes) > 1 else ""
    advice = f"Import {package} only where it is needed; `python -X importtime` shows by whom"
    if several:
        advice = f"Start fewer processes that import {package}, or fork them after its import"
    yield evidence.finding(
        "slow_imports",
        stake_ns,
        f"imports take {_s(total_ns)} s, {package} most: {_s(charged[package])} s{several}",
        advice,
        intervals=map(key_of, intervals),
        process=intervals[0].process if len(processes) == 1 else None,
        component=package,
    )


def slow_weights(evidence: Evidence) -> Iterator[Finding]:
    """A tenth of the start is loading weights: of several processes, the one that loads longest.

    The stake is what of its loading lies in the start.
    """
    by_process: defaultdict[str, list[Interval]] = defaultdict(list)
    for interval in evidence.by_stage.get("weights_load", ()):
        by_process[interval.process].append(interval)
    taken_ns = {process: within_windows_ns(evidence, loads) for process, loads in by_process.items()}
    slowest = max(taken_ns, key=lambda process: (taken_ns[process], process), default=None)
    if slowest is None or not evidence.matters(taken_ns[slowest], _WEIGHTS_SHARE):
        return
    loads = longest_first(by_process[slowest])
    size = sum(map(_bytes_of, loads))
    taken = union_ns(map(span_of, loads))
    rate = f", {size / taken:.1f} GB/s" if size else ""
    others = f" (and {counted(len(taken_ns) - 1, 'other')})" if len(taken_ns) > 1 else ""
    named = union_ns(map(span_of, loads[:MOST_INTERVALS]))
    yield evidence.finding(
        "slow_weights",
        min(taken_ns[slowest], named),
        f"loading weights in {evidence.names.get(slowest, slowest)}{rate}{others}",
        "Keep the weights on a local disk or in the page cache; try another loader",
        of=loads[0],
        intervals=map(key_of, loads),
    )


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0] or "unknown"


def _outermost(key: IntervalKey, package: str, imports: Mapping[IntervalKey, Interval]) -> IntervalKey:
    """Return the outermost import of a package that an import lies in, by way of imports alone."""
    found = key
    while (around := imports[key].enclosing) is not None:
        key = IntervalKey(key.process, around)
        if key not in imports:
            break
        if _package(imports[key].component) == package:
            found = key
    return found


def _bytes_of(interval: Interval) -> int:
    size = (interval.data or {}).get("bytes")
    return size if isinstance(size, int) and size > 0 else 0


def _s(ns: int) -> str:
    return f"{ns / 1e9:.1f}"
