"""A ledger of many sessions: kept recordings under new ids and with other times, vLLM's with two ranks."""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from ledger import Event, parse_event
from ledger.events.models import ProcessJoined, StageStarted, TotalClaimed
from ledger.events.rows import EventRow, json_of, to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from tests.support.paths import DATA
from tests.support.starts import kept

DAY_NS: Final = 24 * 3_600 * 1_000_000_000
SECOND_RANK: Final = "-rank1"
_EVERY: Final = 50
"""One cold start of vLLM in so many sessions; the others are warm, or of torch alone."""

Recording = tuple[Event, ...]


def recordings() -> dict[str, Recording]:
    """Return the kept recordings by what they are of."""
    by_session: defaultdict[str, list[Event]] = defaultdict(list)
    for line in (DATA / "vllm.jsonl").read_bytes().splitlines():
        event = parse_event(line)
        by_session[event.session].append(event)
    cold, warm = (tuple(by_session[session]) for session in sorted(by_session))
    return {
        "vllm cold": cold,
        "vllm warm": warm,
        "torch cold": kept("cold")[0],
        "torch warm": kept("warm")[0],
    }


def write_many_sessions(path: Path, count: int, seed: int = 1) -> int:
    """Write a projected ledger of so many sessions, and return how many events are in it."""
    originals = {
        kind: _with_second_rank(events) if kind.startswith("vllm") else events
        for kind, events in recordings().items()
    }
    others = cycle(["vllm warm", "torch warm", "torch cold", "torch warm", "torch warm"])
    kinds = ["vllm cold", *islice(others, _EVERY - 1)]
    chance = random.Random(seed)
    store = Store.open(path)
    number_of_events = 0
    with store.transaction():
        for number, kind in zip(range(count), cycle(kinds), strict=False):
            rows = list(_copies(originals[kind], number, chance))
            store.append(rows)
            number_of_events += len(rows)
    bring_up_to_date(store)
    store.close()
    return number_of_events


def _with_second_rank(events: Recording) -> Recording:
    """Return a session in which the process that compiles has a twin: the next rank."""
    compiling = next(
        event.process for event in events if isinstance(event, StageStarted) and event.activity == "compile"
    )
    twins: list[Event] = []
    for event in events:
        if event.process == compiling and event.kind not in ("session_started", "session_ended"):
            changes: dict[str, object] = {"process": compiling + SECOND_RANK, "seq": len(twins)}
            if isinstance(event, ProcessJoined):
                changes |= {"name": f"{event.name}_1", "rank": 1}
            twins.append(event.model_copy(update=changes))
    return (*events, *twins)


def _copies(events: Recording, number: int, chance: random.Random) -> Iterator[EventRow]:
    """Yield a session's events as rows of another session, a day later each, with times of its own."""
    session = f"{20260101 + number:08}-000000-{number:08x}"
    begin_ns = min(event.at_ns for event in events)
    scales: defaultdict[str, float] = defaultdict(lambda: chance.uniform(0.8, 1.25))
    for event in events:
        scale = scales[event.process]
        at_ns = begin_ns + number * DAY_NS + round((event.at_ns - begin_ns) * scale)
        changes: dict[str, object] = {"session": session, "at_ns": at_ns}
        if isinstance(event, TotalClaimed):
            changes["claimed_ns"] = round(event.claimed_ns * scale)
        if (wall_ns := getattr(event, "wall_ns", None)) is not None:
            changes["wall_ns"] = wall_ns + number * DAY_NS
        row = to_row(event.model_copy(update=changes))
        yield (
            row._replace(data=_other_cache_key(row.data, chance)) if "cache_key" in (row.data or "") else row
        )


def _other_cache_key(data: str | None, chance: random.Random) -> str:
    """Return the data of a compile with one part of the cache key changed, or none."""
    return (data or json_of({})).replace('"code_hash":"', f'"code_hash":"{chance.randrange(3)}')
