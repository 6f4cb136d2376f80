"""How a session got each part of a model: compiled it, or loaded it from a cache.

This is read from the intervals' data: what an engine's monitor found, which graphs its backend compiled or
loaded, and what torch found in its own caches. An engine's adapter puts the parts of its cache keys, as
digests, into the data of `backend_compile`: `cache_key` of a component, `cache_key_env` of the process.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

from ledger.storage.ledger import Ledger

Way = Literal["compiled", "compiled after a failed load", "partly loaded", "loaded", "load failed"]

# A unit is one compile or load: what a monitor timed or, outside of any monitor, a frame or backward graph of
# torch's. Signs are the cache hits and misses inside it.
_UNITS: Final = """
    WITH units AS MATERIALIZED (
        SELECT
            process, interval, role, component, source, start_ns, stop_ns,
            stage = 'aot_load' AS is_failed_load,
            json_extract(data, '$.cache') AS cache
        FROM intervals
        WHERE session = :session AND stop_ns IS NOT NULL AND (
            (source <> 'torch' AND stage = 'torch_compile')
            OR (source <> 'torch' AND stage = 'aot_load' AND json_extract(data, '$.cache') = 'failed')
            OR (source = 'torch' AND stage IN ('entire_frame_compile', 'entire_backward_compile'))
        )
    ),
    signs AS MATERIALIZED (
        SELECT
            process, start_ns, stop_ns,
            CASE
                WHEN source = 'torch' THEN json_extract(data, '$.cache_state') = 'hit'
                WHEN json_extract(data, '$.cache') = 'outdated' THEN 0
                ELSE stage = 'graph_load'
            END AS is_load
        FROM intervals
        WHERE session = :session AND stop_ns IS NOT NULL AND (
            (source = 'torch' AND json_extract(data, '$.cache_state') IS NOT NULL)
            OR (source <> 'torch' AND stage IN ('graph_compile', 'graph_load'))
        )
    )
    SELECT
        u.role, u.component, u.is_failed_load, u.cache,
        count(*) FILTER (WHERE s.is_load) AS loads,
        count(*) FILTER (WHERE NOT s.is_load) AS compiles
    FROM units u
    LEFT JOIN signs s ON s.process = u.process AND s.start_ns >= u.start_ns AND s.stop_ns <= u.stop_ns
    WHERE u.source <> 'torch' OR NOT EXISTS (
        SELECT 1 FROM units o
        WHERE o.source <> 'torch' AND o.process = u.process
            AND o.start_ns <= u.start_ns AND o.stop_ns >= u.stop_ns
    )
    GROUP BY u.process, u.interval
"""
# An environment variable is the same for all components of a process, and recorded with the first of them.
_KEYS: Final = """
    WITH made AS MATERIALIZED (
        SELECT component, data FROM intervals
        WHERE session = :session AND (
            (stage = 'backend_compile' AND source = 'backend') OR (stage = 'torch_compile' AND source = 'log')
        )
    )
    SELECT component, part.key AS name, part.value AS value
    FROM made JOIN json_each(made.data, '$.cache_key') AS part
    UNION
    SELECT NULL, part.key, part.value
    FROM made JOIN json_each(made.data, '$.cache_key_env') AS part
"""
_NONE: Final[frozenset[str]] = frozenset()


class Part(NamedTuple):
    """A part of the model: a component of a role, or what torch compiled for it outside a monitor."""

    role: str | None
    component: str | None


class KeyPart(NamedTuple):
    """A part of a compile cache's key; environment variables belong to no component."""

    component: str | None
    name: str


class Origins(NamedTuple):
    """How one session got each part, and the digests that make up its cache keys."""

    ways: Mapping[Part, Way]
    """With several compiles and loads of a part, the one listed first in `Way`: a cold start may load for a
    later layer what it compiled for the first."""
    keys: Mapping[KeyPart, frozenset[str]]
    """Only for what was compiled: an artifact loaded as a whole is found without a key."""


class OtherWay(NamedTuple):
    """A part that two sets of sessions got in different ways: how many sessions of each set in each way."""

    part: Part
    a: Mapping[Way, int]
    b: Mapping[Way, int]


def origins(ledger: Ledger, session: str) -> Origins:
    """Return how a session got its parts. Raises LedgerError if the ledger can't be read."""
    ways_of: defaultdict[Part, set[Way]] = defaultdict(set)
    for row in ledger.sql(_UNITS, {"session": session}):
        if (way := _way(row)) is not None:
            ways_of[Part(_text(row["role"]), _text(row["component"]))].add(way)
    keys: defaultdict[KeyPart, set[str]] = defaultdict(set)
    for row in ledger.sql(_KEYS, {"session": session}):
        keys[KeyPart(_text(row["component"]), str(row["name"]))].add(str(row["value"]))
    return Origins(
        {part: _summary(ways) for part, ways in ways_of.items()},
        {part: frozenset(digests) for part, digests in keys.items()},
    )


def other_ways(a: Sequence[Origins], b: Sequence[Origins]) -> list[OtherWay]:
    """Return the parts that both sets have, but got in different ways."""
    ways_of_a, ways_of_b = (_by_key(found.ways for found in side) for side in (a, b))
    return [
        OtherWay(part, Counter(ways_of_a[part]), Counter(ways_of_b[part]))
        for part in sorted(ways_of_a.keys() & ways_of_b.keys(), key=_sort_key)
        if set(ways_of_a[part]) != set(ways_of_b[part])
    ]


def other_key_parts(a: Sequence[Origins], b: Sequence[Origins]) -> list[KeyPart]:
    """Return the parts of cache keys whose values the two sets have none of in common.

    Only for components with keys in both sets. A variable that only one set has counts as different.
    """
    keys_of_a, keys_of_b = (_by_key(found.keys for found in side) for side in (a, b))
    components = [{part.component for part in keys} for keys in (keys_of_a, keys_of_b)]
    return [
        part
        for part in sorted(keys_of_a.keys() | keys_of_b.keys(), key=_sort_key)
        if all(part.component in of_side for of_side in components)
        and _NONE.union(*keys_of_a[part]).isdisjoint(_NONE.union(*keys_of_b[part]))
    ]


def _way(row: Mapping[str, object]) -> Way | None:
    """Classify one compile or load; None if it found nothing, failed, or has no cache data."""
    cache, has_loaded, has_compiled = row["cache"], bool(row["loads"]), bool(row["compiles"])
    if row["is_failed_load"]:
        return "load failed"
    if cache in ("miss", "failed"):
        return None
    if cache == "hit":
        return "loaded"
    if has_loaded:
        return "partly loaded" if has_compiled else "loaded"
    return "compiled" if has_compiled or cache == "compiled" else None


def _summary(ways: set[Way]) -> Way:
    if "compiled" in ways:
        return "compiled after a failed load" if "load failed" in ways else "compiled"
    return next(way for way in ("partly loaded", "loaded", "load failed") if way in ways)


_Key = TypeVar("_Key", Part, KeyPart)
_Value = TypeVar("_Value")


def _by_key(sessions: Iterable[Mapping[_Key, _Value]]) -> defaultdict[_Key, list[_Value]]:
    by_key: defaultdict[_Key, list[_Value]] = defaultdict(list)
    for found in sessions:
        for key, value in found.items():
            by_key[key].append(value)
    return by_key


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _sort_key(key: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(name or "" for name in key)
