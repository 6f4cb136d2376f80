"""Findings of what a start loads before it can compute: packages and weights."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from ledger.timeline.findings.evidence import MOST_INTERVALS, Evidence, key_of
from ledger.timeline.findings.finding import Finding
from ledger.timeline.findings.slowest import slowest_within_start
from ledger.timeline.findings.window_time import longest_first, span_of
from ledger.timeline.records import Interval, IntervalKey
from ledger.timeline.spans import union_ns
from ledger.vocabulary import IMPORT, package_of

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
    advice = f"Import {package} only where needed; see `python -X importtime`"
    if several:
        advice = f"Import {package} in fewer processes, or fork them after its import"
    yield evidence.finding(
        "slow_imports",
        stake_ns,
        f"imports take {_s(total_ns)} s ({total_ns / evidence.start_ns:.0%}), "
        f"{package} most: {_s(charged[package])} s{several}",
        advice,
        intervals=map(key_of, intervals),
        process=intervals[0].process if len(processes) == 1 else None,
        component=package,
    )


def slow_weights(evidence: Evidence) -> Iterator[Finding]:
    """A tenth of the start is loading weights: of several processes, the one that loads longest.

    The stake is what of its loading lies in the start.
    """
    loads = evidence.by_stage["weights_load"]
    if not loads:
        return
    found = slowest_within_start(evidence, loads)
    if not evidence.matters(found.stake_ns, _WEIGHTS_SHARE):
        return
    size = sum(map(_bytes_of, found.intervals))
    rate = f" at {size / union_ns(map(span_of, found.intervals)):.1f} GB/s" if size else ""
    yield evidence.finding(
        "slow_weights",
        min(found.stake_ns, union_ns(map(span_of, found.intervals[:MOST_INTERVALS]))),
        f"weights were loaded{rate}{found.on_ranks}",
        "Keep them on a local disk or in the page cache; try another loader",
        process=found.process,
        intervals=found.keys,
    )


def _package(module: str | None) -> str:
    return package_of(module) or "unknown"


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
