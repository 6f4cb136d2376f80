"""The records: one for each metric of the starts that can be compared, with one value for each start.

Their form is that of the database's table `oss_ci_benchmark_v3`, whose maps have texts as values:
https://github.com/pytorch/pytorch/wiki/How-to-integrate-with-PyTorch-OSS-benchmark-database. Time, repository
and job of the run are added by the action that uploads them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypedDict

from ledger import Session, Timeline
from ledger.adapters import ENGINE_READY, SERVER_READY

BENCHMARK: Final = "compile-ledger startup"
"""Its name in the database."""
_NS_PER_S: Final = 1_000_000_000
_READY: Final = (ENGINE_READY, SERVER_READY)
_COMPLETED: Final = "completed"
_WHOLE_PROCESS: Final = "whole_process"
"""Stands in a metric's name for the role that what serves the whole process has not."""


class Benchmark(TypedDict):
    """What was run."""

    name: str
    extra_info: Mapping[str, str]


class Model(TypedDict):
    """What it was run with."""

    name: str


class Dependency(TypedDict):
    """A package that it ran with."""

    version: str


class MetricValues(TypedDict):
    """A metric's values, one for each run."""

    name: str
    benchmark_values: Sequence[float]
    extra_info: Mapping[str, str]


class BenchmarkRecord(TypedDict):
    """A record."""

    benchmark: Benchmark
    model: Model
    dependencies: Mapping[str, Dependency]
    metric: MetricValues


class _Metric(NamedTuple):
    """What a metric is called, and what of it does not go into its name."""

    name: str
    extra_info: tuple[tuple[str, str], ...]


class Start(NamedTuple):
    """A session, as far as the records need it."""

    session: str
    label: str
    model: str
    versions: tuple[tuple[str, str], ...]
    values_ns: Mapping[_Metric, int]

    @classmethod
    def of(cls, timeline: Timeline, session: Session) -> "Start | None":
        """Return a session's start; None where it failed before it was ready, or has no metric."""
        values_ns = dict(_values_ns(timeline, session))
        if not values_ns:
            return None
        label = session.label or ""
        model = model_of(session.command or ()) or label or session.session
        return cls(session.session, label, model, tuple(session.versions.items()), values_ns)


def records(starts: Sequence[Start]) -> list[BenchmarkRecord]:
    """Return the records of starts. Those of the same label, model and versions are runs of one benchmark."""
    runs: defaultdict[tuple[object, ...], list[Start]] = defaultdict(list)
    for start in starts:
        runs[start.label, start.model, start.versions].append(start)
    return [record for of_one in runs.values() for record in _records_of(of_one)]


def model_of(command: Sequence[str]) -> str | None:
    """Return the model that a command names: with `--model`, or after `serve`; None where it names none."""
    for before, word in pairwise((*command, "")):
        if before.startswith("--model="):
            return before.partition("=")[2] or None
        if before == "--model" or (before == "serve" and not word.startswith("-")):
            return word or None
    return None


def _records_of(runs: Sequence[Start]) -> Iterator[BenchmarkRecord]:
    first = runs[0]
    metrics = dict.fromkeys(metric for run in runs for metric in run.values_ns)
    for metric in metrics:
        measured = [run for run in runs if metric in run.values_ns]
        yield {
            "benchmark": {"name": BENCHMARK, "extra_info": {"label": first.label}},
            "model": {"name": first.model},
            "dependencies": {name: {"version": version} for name, version in first.versions},
            "metric": {
                "name": metric.name,
                "benchmark_values": [run.values_ns[metric] / _NS_PER_S for run in measured],
                "extra_info": {
                    "unit": "s",
                    "sessions": ",".join(run.session for run in measured),
                    **dict(metric.extra_info),
                },
            },
        }


def _values_ns(timeline: Timeline, session: Session) -> Iterator[tuple[_Metric, int]]:
    """Yield the metrics of a start. What ended before it was ready was not the whole of it."""
    # Of a session that became ready again, the first window is its start.
    ready = next((window for window in timeline.startup_windows if window.ended_by in _READY), None)
    if ready is None and session.outcome != _COMPLETED:
        return
    if ready is not None:
        bounds = (("began_by", ready.began_by), ("ended_by", ready.ended_by))
        yield _Metric("time_to_ready_s", bounds), ready.duration_ns
        yield _Metric("unattributed_s", bounds), ready.unattributed_ns
    for total in timeline.session_totals:
        name = f"{total.role or _WHOLE_PROCESS}_{total.activity}_s"
        about = (("role", total.role or ""), ("activity", total.activity), ("of", "the slowest process"))
        yield _Metric(name, about), total.max_ns
