"""The metrics of a session: how long until it was ready, where that went, and what each role took.

Base units, gauges, an empty label for what does not apply (to Prometheus that is the same as no such label).
Processes of one name and rank share a sample, since the pieces of a start-up can be added up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from ledger import Timeline
from ledger_prometheus.text_format import Sample, label_name, seconds

_PREFIX: Final = "compile_ledger_"


class Metric(NamedTuple):
    """A metric's name, what its HELP line says, and how a session's samples are found."""

    name: str
    description: str
    samples: Callable[[Timeline], Iterator[Sample]]


def _info(timeline: Timeline) -> Iterator[Sample]:
    session = timeline.session
    if session is None:
        return
    labels = {**_session_labels(timeline), "outcome": session.outcome}
    for name, version in session.versions.items():
        label = label_name(f"{name}_version")
        while label in labels:  # two names may differ in characters alone that a label can't have
            label += "_"
        labels[label] = version
    yield Sample(labels, "1")


def _start_time(timeline: Timeline) -> Iterator[Sample]:
    session = timeline.session
    if session is not None and session.started_at is not None:
        # Python 3.10 does not read the Z.
        started_at = datetime.fromisoformat(session.started_at.replace("Z", "+00:00"))
        yield Sample(_session_labels(timeline), f"{started_at.timestamp():.6f}")


def _startup(timeline: Timeline) -> Iterator[Sample]:
    for window in timeline.startup_windows:
        labels = {
            **_session_labels(timeline),
            "window": str(window.window),
            "began_by": window.began_by,
            "ended_by": window.ended_by,
        }
        yield Sample(labels, seconds(window.duration_ns))


def _unattributed(timeline: Timeline) -> Iterator[Sample]:
    for window in timeline.startup_windows:
        labels = {**_session_labels(timeline), "window": str(window.window)}
        yield Sample(labels, seconds(window.unattributed_ns))


def _stages(timeline: Timeline) -> Iterator[Sample]:
    names = {process.process: process.name or process.process for process in timeline.processes}
    ranks = {process.process: process.rank for process in timeline.processes}
    durations: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for piece in timeline.startup_breakdown:
        if piece.stage is None or piece.activity is None or piece.process is None:
            continue
        rank = ranks.get(piece.process)
        process = names.get(piece.process, piece.process)
        key = (str(piece.window), process, "" if rank is None else str(rank), piece.activity, piece.stage)
        durations[key] += piece.duration_ns
    for key, duration_ns in sorted(durations.items()):
        own = dict(zip(("window", "process", "rank", "activity", "stage"), key, strict=True))
        yield Sample({**_session_labels(timeline), **own}, seconds(duration_ns))


def _roles(timeline: Timeline) -> Iterator[Sample]:
    for total in timeline.session_totals:
        labels = {**_session_labels(timeline), "role": total.role or "", "activity": total.activity}
        yield Sample(labels, seconds(total.max_ns))


def _session_labels(timeline: Timeline) -> Mapping[str, str]:
    session = timeline.session
    return {} if session is None else {"session": session.session, "label": session.label or ""}


METRICS: Final = (
    Metric(
        f"{_PREFIX}session_info",
        "A recorded start: its outcome, and the versions of what it ran with. Always 1.",
        _info,
    ),
    Metric(
        f"{_PREFIX}session_start_time_seconds",
        "When the session started, in seconds since the Unix epoch.",
        _start_time,
    ),
    Metric(
        f"{_PREFIX}startup_seconds",
        "Time from the command until it was ready. ended_by says what ended it: "
        "server_ready or engine_ready where it became ready.",
        _startup,
    ),
    Metric(
        f"{_PREFIX}stage_seconds",
        "The part of startup_seconds that is charged to a stage of a process. "
        "These and unattributed_seconds add up to it.",
        _stages,
    ),
    Metric(
        f"{_PREFIX}unattributed_seconds",
        "The part of startup_seconds that is in no stage.",
        _unattributed,
    ),
    Metric(
        f"{_PREFIX}role_seconds",
        "Time of a role and activity in its slowest process. Roles may overlap and can't be added up.",
        _roles,
    ),
)
"""In the order in which they are written."""
