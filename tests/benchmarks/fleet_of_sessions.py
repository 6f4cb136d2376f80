"""Synthesises the ledgers of a fleet: one for each host, out of the real starts that the tests keep.

    python tests/benchmarks/fleet_of_sessions.py FOLDER --sessions 10000 --hosts 50

Each session is a real start of vLLM under another id, on another host and day: its time is stretched by a
factor of its own and wavers a little within, so that orders and enclosures stay as they were recorded. Starts
of later days have later versions. Two warm starts come on one cold one, which makes 2,000 events a session.
The same seed gives the same sessions. Texts, and figures in texts, are those of the real start: only its
claims' durations are stretched.
"""

import argparse
import gzip
import json
import multiprocessing
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from functools import cache, partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from ledger.events.models import parse_event
from ledger.events.rows import EventRow, to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store

DATA: Final = Path(__file__).parents[1] / "data" / "gpu"
COLD: Final = (
    *("text-cold", "vl-cold", "eagle-cold", "tp2-cold", "pp2-cold", "v020-cold", "fails-cold", "killed-cold"),
    *("triton_cache/pinned1-cold", "triton_cache/unset1-cold"),
)
WARM: Final = (
    *("text-warm", "vl-warm", "eagle-warm", "tp2-warm", "pp2-warm", "v020-warm"),
    *("triton_cache/pinned1-warm", "triton_cache/unset1-warm"),
)
WARM_PER_COLD: Final = 2
FIRST_DAY_NS: Final = int(datetime(2026, 10, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000_000
DAYS: Final = 30
LABELS: Final = ("nightly", "canary", "production", "batch")
VLLM_VERSIONS: Final = ("0.24.0", "0.25.1", "0.27.0", "0.30.0")
TORCH_VERSIONS: Final = ("2.11.0", "2.12.1", "2.13.0", "2.14.1")
SLOWER_SINCE: Final = 2
"""From this version on compiles take `SLOWER` as long: a regression to be found."""
SLOWER: Final = 1.25
_S_NS: Final = 1_000_000_000
_DAY_S: Final = 24 * 3_600
_DAY_NS: Final = _DAY_S * _S_NS
_TICK_NS: Final = 10_000_000
_PIECES: Final = 64
"""Of a session's time, each stretched by a little more or less than the others."""


class Template(NamedTuple):
    """A real start."""

    name: str
    rows: tuple[EventRow, ...]
    bodies: dict[int, dict[str, Any]]
    """The JSON of a row's body, by the row's place, where it says what differs from host to host."""
    first_ns: int
    last_ns: int


@cache
def template(name: str) -> Template:
    """Return a real start as rows of a ledger."""
    lines = gzip.decompress((DATA / f"{name}.jsonl.gz").read_bytes()).splitlines()
    events = [parse_event(line) for line in lines if not line.startswith(b'{"kind":"end_of_export"')]
    rows = tuple(map(to_row, events))
    bodies = {
        place: json.loads(row.body)
        for place, row in enumerate(rows)
        if row.body and row.kind in ("session_started", "process_joined", "total_claimed")
    }
    times = [row.at_ns for row in rows]
    return Template(name, rows, bodies, min(times), max(times))


class TimeWarp:
    """Maps the times of a start to those of a session made of it; later stays later."""

    def __init__(self, of: Template, chance: random.Random, stretch: float) -> None:
        self.stretch: Final = stretch
        self._first_ns: Final = of.first_ns
        self._piece_ns: Final = max(1, (of.last_ns - of.first_ns) // _PIECES)
        self._rates: Final = [stretch * chance.lognormvariate(0, 0.05) for _ in range(_PIECES + 2)]
        self._starts: Final = [0.0]
        for rate in self._rates:
            self._starts.append(self._starts[-1] + rate * self._piece_ns)

    def __call__(self, at_ns: int) -> int:
        """Return where a time goes; those before the first event are moved with it."""
        since = at_ns - self._first_ns
        if since <= 0:
            return max(0, self._first_ns + int(since * self.stretch))
        piece = min(since // self._piece_ns, len(self._rates) - 1)
        return self._first_ns + int(
            self._starts[piece] + self._rates[piece] * (since - piece * self._piece_ns)
        )


class Session(NamedTuple):
    """What a session of the fleet has of its own, besides its times."""

    session: str
    label: str
    host: str
    boot_id: str
    versions: dict[str, str]
    wall_ns: int
    """When it began: a whole second."""


def drawn_session(number: int, hosts: int, chance: random.Random) -> tuple[Template, int, Session]:
    """Draw a session by its number: the real start that it is made of, its release, and what is its own."""
    names = WARM if number % (WARM_PER_COLD + 1) else COLD
    real = template(chance.choice(names))
    day = chance.randrange(DAYS)
    release = min(day * len(VLLM_VERSIONS) // DAYS, len(VLLM_VERSIONS) - 1)
    wall_ns = FIRST_DAY_NS + day * _DAY_NS + chance.randrange(_DAY_S // 2) * _S_NS
    began = datetime.fromtimestamp(wall_ns // _S_NS, timezone.utc)
    label = f"{LABELS[chance.randrange(len(LABELS))]}-{real.name.rpartition('/')[2]}"
    return real, release, Session(
        f"{began:%Y%m%d-%H%M%S}-{number:08x}", label, f"host-{number % hosts:02d}",
        f"{chance.getrandbits(128):032x}",
        {"vllm": VLLM_VERSIONS[release], "torch": TORCH_VERSIONS[release]}, wall_ns,
    )  # fmt: skip


def session_rows(number: int, hosts: int, seed: int) -> Iterator[EventRow]:
    """Yield the events of a session of the fleet, by its number."""
    chance = random.Random(f"{seed}/{number}")
    real, release, facts = drawn_session(number, hosts, chance)
    stretch = chance.lognormvariate(0, 0.25) * (SLOWER if release >= SLOWER_SINCE else 1.0)
    return rows_of(real, TimeWarp(real, chance, stretch), facts)


def rows_of(real: Template, warp: TimeWarp, facts: Session) -> Iterator[EventRow]:
    """Yield the events of a real start as those of a session."""
    moved_ns = facts.wall_ns - warp(real.first_ns)
    for place, row in enumerate(real.rows):
        at_ns = warp(row.at_ns)
        body = row.body
        fields: dict[str, Any] = {"session": facts.session, "at_ns": at_ns}
        if place in real.bodies:
            said = dict(real.bodies[place])
            if row.kind == "session_started":
                said = {
                    **said,
                    "label": facts.label,
                    "versions": {**said.get("versions", {}), **facts.versions},
                }
            elif row.kind == "process_joined":
                said = {**said, "host": facts.host, "boot_id": facts.boot_id}
                if "pid_start" in said:
                    said["pid_start"] = warp(said["pid_start"] * _TICK_NS) // _TICK_NS
            else:
                said["claimed_ns"] = int(said["claimed_ns"] * warp.stretch)
            body = json.dumps(said)
        yield row._replace(**fields, body=body, wall_ns=at_ns + moved_ns)


@contextmanager
def unsafe_ledger(path: Path) -> Generator[Store]:
    """Open a new ledger to write, which is there once it is whole.

    A ledger that is made for a benchmark is made again where the power went.
    """
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(Store.open(unfinished)) as store:
        store.connection.execute("PRAGMA synchronous = off")
        yield store
    unfinished.replace(path)


def write_ledger(path: Path, numbers: Sequence[int], hosts: int, seed: int) -> int:
    """Write the ledger of a host, with its projections; return how many events it has."""
    written = 0
    with unsafe_ledger(path) as store:
        for number in numbers:
            rows = sorted(session_rows(number, hosts, seed), key=lambda row: row.at_ns)
            with store.transaction():
                written += store.append(rows).new
        bring_up_to_date(store)
    return written


def write_fleet(
    folder: Path, sessions: int, hosts: int = 50, seed: int = 1, processes: int = 1, starts: int = 0
) -> int:
    """Write the ledgers of a fleet into a folder, `host-00.db` and so on; return how many events they have.

    With `starts`, so many are made of each real start, and the sessions are copies of them. A ledger that is
    there already is left as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = [
        (path, range(host, sessions, hosts), hosts, seed)
        for host in range(min(hosts, sessions))
        if not (path := folder / f"host-{host:02d}.db").exists()
    ]
    if not starts:
        return _written(write_ledger, work, processes)
    from tests.benchmarks.fleet_of_copies import write_copies, write_starts

    with TemporaryDirectory(dir=folder) as temporary:
        of_starts = Path(temporary, "starts.db")
        write_starts(of_starts, starts, chain.from_iterable(numbers for _, numbers, *_ in work), seed)
        return _written(partial(write_copies, of_starts, starts), work, processes)


def _written(write: Callable[..., int], work: Sequence[tuple[object, ...]], processes: int) -> int:
    if processes == 1:
        return sum(write(*each) for each in work)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return sum(pool.starmap(write, work, chunksize=1))


def main() -> None:
    """Write a fleet as the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--starts",
        type=int,
        default=0,
        help="so many of each real start, each session a copy of one: quicker",
    )
    options = parser.parse_args()
    events = write_fleet(
        options.folder, options.sessions, options.hosts, options.seed, options.processes, options.starts
    )
    print(f"{events:,} events of {options.sessions:,} sessions in {options.folder}")


if __name__ == "__main__":
    main()
