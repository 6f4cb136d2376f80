"""The details that a trace viewer shows for a selected slice, claim or process."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from ledger import Claim, Interval, Process, Reconciliation, Timeline
from ledger.adapters import ClockAlignment

Notes = Mapping[str, str | int]
"""By name, in display order."""

Key = tuple[str, int]
"""Process and id of an interval or a claim."""

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
    """The notes of one session's records."""

    def __init__(self, timeline: Timeline) -> None:
        self._causes: Final[defaultdict[Key, list[tuple[str, int]]]] = defaultdict(list)
        for cause in timeline.causes:
            name = cause.cause if cause.stage is None else f"{cause.cause} {cause.stage}"
            self._causes[cause.process, cause.claim].append((name, cause.ns))
        self._anomalies: Final[defaultdict[tuple[str, str, int | None], list[str]]] = defaultdict(list)
        for anomaly in timeline.anomalies:
            about = "process" if anomaly.interval is None else "interval"
            key = (
                (about, anomaly.process, anomaly.interval)
                if anomaly.claim is None
                else ("claim", anomaly.process, anomaly.claim)
            )
            self._anomalies[key].append(
                anomaly.what if anomaly.detail is None else f"{anomaly.what}: {anomaly.detail}"
            )

    def of_interval(self, interval: Interval) -> Notes:
        """Return an interval's notes: its columns, and the other fields of its two events."""
        return {
            **_shown(interval._asdict(), _OF_INTERVAL),
            **({} if interval.error is None else {"error": interval.error}),
            **({} if interval.data_json in (None, "{}") else {"data": interval.data_json}),
            **self._anomalies_of("interval", interval.process, interval.interval),
        }

    def of_claim(self, claim: Claim, reconciled: Reconciliation) -> Notes:
        """Return a claim's notes: what it was compared with, and why the two differ."""
        return {
            **_shown({**claim._asdict(), "data": claim.data_json}, _OF_CLAIM),
            **_shown(reconciled._asdict(), _OF_RECONCILIATION),
            **{f"cause {name}, ns": ns for name, ns in self._causes[claim.process, claim.claim]},
            **self._anomalies_of("claim", claim.process, claim.claim),
        }

    def of_process(self, process: Process, clock: ClockAlignment) -> str:
        """Return a process's notes, in one line."""
        parts = [f"process {process.process}: {process.outcome}"]
        parts += [f"pid {process.pid}"] if process.pid is not None else []
        parts += [f"host {process.host}"] if process.host is not None else []
        parts += [f"{process.lost_events} events were lost"] if process.lost_events else []
        if process.process in clock.unplaced:
            parts.append("its clock could not be aligned with the others")
        elif clock.domains > 1:
            parts.append("several clocks, aligned by their hosts' wall clocks")
        return "; ".join([*parts, *self._anomalies["process", process.process, None]])

    def name_of(self, claim: Claim) -> str:
        """Return a short name of a claim."""
        about = claim.component or claim.stage or claim.counts
        return f"{claim.source} says {claim.claimed_ns / _NS_PER_S:g} s, {about}"

    def _anomalies_of(self, about: str, process: str, number: int) -> Notes:
        anomalies = self._anomalies.get((about, process, number))
        return {"anomalies": "; ".join(anomalies)} if anomalies else {}


def _shown(fields: Mapping[str, object], names: tuple[str, ...]) -> dict[str, str | int]:
    chosen = {name: fields[name] for name in names}
    return {name: value for name, value in chosen.items() if isinstance(value, str | int)}
