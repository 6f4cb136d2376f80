"""Parts a session's events into steps by time, so that few of them are in memory at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from ledger.storage.store import Store

LONG: Final = 100_000
"""A session of so many events at most is projected as a whole: that takes less time."""
STEP: Final = 50_000
"""How many events a step has, about."""
SAMPLE: Final = 1_000
"""The time is looked at of every so many events of a process."""


class Seqs(NamedTuple):
    """The events of a process from one seq to another."""

    first: int
    last: int
    """Less than the first where there are none."""


class Step(NamedTuple):
    """A time: of each process the events in it, whose numbers are in the order of time."""

    until_ns: int
    """No event in it is later."""
    seqs: Mapping[str, Seqs]


def is_long(store: Store, session: str) -> bool:
    """Tell whether a session is worth steps."""
    query = "SELECT 1 FROM events WHERE session = ? LIMIT 1 OFFSET ?"
    return bool(store.select(query, [session, LONG]))


def steps_of(store: Store, session: str) -> list[Step]:
    """Return a session's steps, in which all of its events are."""
    samples = {process: _samples(store, session, process) for process in store.processes(session)}
    lasts = {process: of_process[-1].seq for process, of_process in samples.items()}
    reached = dict.fromkeys(lasts, -1)
    steps: list[Step] = []
    *times, end_ns = _times(samples.values())
    for until_ns in times:
        seqs: dict[str, Seqs] = {}
        for process, seq in reached.items():
            last = _last_until(store, session, process, seq, lasts[process], until_ns)
            seqs[process] = Seqs(seq + 1, last)
            reached[process] = last
        steps.append(Step(until_ns, seqs))
    return [*steps, Step(end_ns, {each: Seqs(seq + 1, lasts[each]) for each, seq in reached.items()})]


def times_of(store: Store, session: str, process: str) -> tuple[int, int]:
    """Return when the first of a process's first events is, and the last of its last ones."""
    times: list[int] = []
    for order in ("ASC", "DESC"):
        rows = store.select(
            f"SELECT at_ns FROM events WHERE session = ? AND process = ? ORDER BY seq {order} LIMIT ?",
            [session, process, SAMPLE],
        )
        times += [at_ns for (at_ns,) in cast("list[tuple[int]]", rows)]
    return min(times), max(times)


class _Sample(NamedTuple):
    seq: int
    at_ns: int
    number: int
    """How many events there are from the sample before up to this one."""


def _samples(store: Store, session: str, process: str) -> list[_Sample]:
    """Return one of every so many events of a process, and the last."""
    found: list[_Sample] = []
    newer = "FROM events WHERE session = ? AND process = ? AND seq > ?"
    values = (session, process)
    seq = -1
    query = f"SELECT seq, at_ns {newer} ORDER BY seq LIMIT 1 OFFSET ?"
    while rows := cast("list[tuple[int, int]]", store.select(query, [*values, seq, SAMPLE - 1])):
        [(seq, at_ns)] = rows
        found.append(_Sample(seq, at_ns, SAMPLE))
    query = f"SELECT max(seq), at_ns, count(*) {newer}"
    [(last, at_ns, number)] = cast("list[tuple[int | None, int, int]]", store.select(query, [*values, seq]))
    if last is not None:
        found.append(_Sample(last, at_ns, number))
    return found


def _times(samples: Iterable[Sequence[_Sample]]) -> Iterator[int]:
    """Yield times between which there are about as many events as a step has; the last is that of all."""
    by_time = sorted((one.at_ns, one.number) for of_process in samples for one in of_process)
    since, last_ns = 0, -1
    for at_ns, number in by_time[:-1]:
        since += number
        if since >= STEP and at_ns > last_ns:
            yield at_ns
            since, last_ns = 0, at_ns
    yield by_time[-1][0]


def _last_until(store: Store, session: str, process: str, first: int, last: int, until_ns: int) -> int:
    """Return the last seq from one to another up to which a process's events are no later than a time.

    They come by time, nearly.
    """
    query = (
        "SELECT at_ns FROM events WHERE session = ? AND process = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
    )
    while first < last:
        middle = (first + last + 1) // 2
        rows = cast("list[tuple[int]]", store.select(query, [session, process, middle]))
        if rows and rows[0][0] > until_ns:
            last = middle - 1
        else:
            first = middle
    return first
