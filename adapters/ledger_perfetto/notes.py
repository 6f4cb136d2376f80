"""What a trace says of a slice, a claim or a process when it is chosen."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from ledger import Claim, ClockAlignment, Interval, Ledger, Process, Reconciliation, Timeline

Notes = Mapping[str, str | int]
"""By name, in the order in which they are shown."""

Key = tuple[str, int]
"""An interval's process and id, or a claim's."""

_NS_PER_S: Final = 1e9
_OF_INTERVAL: Final = (
    "process", "interval", "activity", "role", "component", "source", "is_top_level", "depth", "duration_ns",
    "self_ns", "unattributed_ns", "open_ns", "outcome", "start_seq", "stop_seq",
)  # fmt: skip
_OF_CLAIM: Final = (
    "process", "claim", "counts", "source", "role", "component", "stage", "claimed_ns", "resolution_ns",
    "text", "data",
)  # fmt: skip
_OF_RECONCILIATION: Final = ("measured_ns", "measured_uncertainty_ns", "difference_ns", "main_cause")


class NotesOf:
    """What is said of one session's records."""

    def __init__(self, ledger: Ledger, session: str, timeline: Timeline) -> None:
        rows = ledger.sql(
            "SELECT process, interval, error, nullif(data, '{}') AS data FROM intervals "
            "WHERE session = ? AND (error IS NOT NULL OR data <> '{}')",
            [session],
        )
        self._more: Final = {(row.pop("process"), row.pop("interval")): _known(row) for row in rows}
        self._causes: Final[defaultdict[Key, list[tuple[str, int]]]] = defaultdict(list)
        for cause in timeline.causes:
            name = cause.cause if cause.stage is None else f"{cause.cause} {cause.stage}"
            self._causes[cause.process, cause.claim].append((name, cause.ns))
        self._odd: Final[defaultdict[tuple[str, str, int | None], list[str]]] = defaultdict(list)
        for odd in timeline.anomalies:
            about = "process" if odd.interval is None else "interval"
            key = (
                (about, odd.process, odd.interval) if odd.claim is None else ("claim", odd.process, odd.claim)
            )
            self._odd[key].append(odd.what if odd.detail is None else f"{odd.what}: {odd.detail}")

    def of_interval(self, interval: Interval) -> Notes:
        """Return what is known of an interval: its columns, and what else its two events say."""
        more = self._more.get((interval.process, interval.interval), {})
        return {
            **_known(interval._asdict(), _OF_INTERVAL),
            **more,
            **self._oddities("interval", interval.process, interval.interval),
        }

    def of_claim(self, claim: Claim, reconciled: Reconciliation) -> Notes:
        """Return what is known of a claim: what it was held against, and why the two differ."""
        return {
            **_known(claim._asdict(), _OF_CLAIM),
            **_known(reconciled._asdict(), _OF_RECONCILIATION),
            **{f"cause {name}, ns": ns for name, ns in self._causes[claim.process, claim.claim]},
            **self._oddities("claim", claim.process, claim.claim),
        }

    def of_process(self, process: Process, clock: ClockAlignment) -> str:
        """Return what is known of a process, in a line."""
        said = [f"process {process.process}: {process.outcome}"]
        said += [f"pid {process.pid}"] if process.pid is not None else []
        said += [f"host {process.host}"] if process.host is not None else []
        said += [f"{process.lost_events} events were lost"] if process.lost_events else []
        if process.process in clock.unplaced:
            said.append("nobody knows when it was, beside the others")
        elif clock.domains > 1:
            said.append("several clocks, laid on one as well as their hosts' wall clocks agree")
        return "; ".join([*said, *self._odd["process", process.process, None]])

    def name_of(self, claim: Claim) -> str:
        """Return a claim in a few words."""
        about = claim.component or claim.stage or claim.counts
        return f"{claim.source} says {claim.claimed_ns / _NS_PER_S:g} s, {about}"

    def _oddities(self, about: str, process: str, number: int) -> Notes:
        said = self._odd.get((about, process, number))
        return {"anomalies": "; ".join(said)} if said else {}


def _known(fields: Mapping[str, object], names: tuple[str, ...] | None = None) -> dict[str, str | int]:
    known = {name: fields[name] for name in names or fields}
    return {name: value for name, value in known.items() if isinstance(value, str | int)}
