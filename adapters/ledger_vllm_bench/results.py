"""Reads the results of `vllm bench startup`: for cold and for warm starts, what was reported of them."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, cast

from pydantic import JsonValue
from pydantic_core import from_json

METRICS: Final = {
    "startup": "startup",
    "compilation": "torch_compile",
    "encoder_compilation": "torch_compile",
}
"""What is timed, by vLLM's name of it, and its stage."""
PHASES: Final = ("cold", "warm")

_TITLE: Final = re.compile(r"(COLD|WARM) STARTUP:")
_AVERAGE: Final = re.compile(
    r"Avg (?:total )?(startup|compilation|encoder compilation) time: +(\d+\.\d+) seconds"
)
_LIST: Final = re.compile(r"(Startup|Compilation|Encoder compilation) time percentiles:")
_PERCENTILE: Final = re.compile(r"(\d+)%: (\d+\.\d+) seconds")
_PRINTED_NS: Final = 10_000_000
_MAX_S: Final = 1e9


class Reported(NamedTuple):
    """One number of the report."""

    phase: str
    metric: str
    start: int | None
    """Which of the starts, from 0; None where it is of all of them."""
    of_all: str | None
    """What it is of all starts: `average`, `10%`, …."""
    seconds: float
    resolution_ns: int
    text: str


class Result(NamedTuple):
    """What one run of the benchmark reported."""

    name: str
    """Of a run among several its number, and what its parameters are called; of a record the model's name."""
    reported: list[Reported]
    parameters: dict[str, JsonValue]
    """What the run was of, where the file says it."""


def of_json(text: bytes) -> list[Result] | None:
    """Return what a JSON file says; None where it has no such times.

    It is what `--output-json` wrote, or `vllm bench sweep startup` from several of those: a list. Or it is
    one of the `.pytorch.json` beside it: a list of records with one metric each.
    """
    try:
        found: object = from_json(text)
    except ValueError:
        return None
    results: list[Result] = []
    metrics: dict[str, Result] = {}
    for fields in cast("list[object]", found) if isinstance(found, list) else [found]:
        if not isinstance(fields, dict):
            continue
        known = cast("dict[str, object]", fields)
        metric = _mapping(known.get("metric"))
        if metric:
            name = str(_mapping(known.get("model")).get("name") or "")
            result = metrics.setdefault(name, Result(name, [], {"model": name} if name else {}))
            result.reported.extend(_times_of(_mapping(metric.get("extra_info"))))
        elif reported := list(_times_of(known)):
            results.append(Result(_name_of_run(known), reported, _parameters_of(known)))
    return [one for one in (*results, *metrics.values()) if one.reported] or None


def of_text(lines: list[str]) -> Iterator[Reported]:
    """Yield what a printed report says."""
    phase, metric = None, None
    for line in map(str.strip, lines):
        if (title := _TITLE.fullmatch(line)) is not None:
            phase, metric = title[1].lower(), None
        elif phase is None:
            continue
        elif (average := _AVERAGE.fullmatch(line)) is not None:
            name = average[1].replace(" ", "_")
            yield Reported(phase, name, None, "average", float(average[2]), _PRINTED_NS, line)
        elif (begun := _LIST.fullmatch(line)) is not None:
            metric = begun[1].lower().replace(" ", "_")
        elif metric is not None and (found := _PERCENTILE.fullmatch(line)) is not None:
            yield Reported(phase, metric, None, f"{found[1]}%", float(found[2]), _PRINTED_NS, line)


def _seconds(value: object) -> float | None:
    if type(value) not in (int, float):
        return None
    number = cast("float", value)
    return number if math.isfinite(number) and 0 <= number < _MAX_S else None


def _times_of(fields: Mapping[str, object]) -> Iterator[Reported]:
    """Yield the times of each start."""
    for phase in PHASES:
        for metric in METRICS:
            name = f"{phase}_{metric}"
            times = fields.get(f"{name}_times")
            for number, value in enumerate(cast("list[object]", times) if isinstance(times, list) else ()):
                if (seconds := _seconds(value)) is not None:
                    text = f"{name}_times[{number}]={value}"
                    yield Reported(phase, metric, number, None, seconds, 1_000, text)


def _name_of_run(fields: Mapping[str, object]) -> str:
    number, name = fields.get("run_number"), fields.get("_benchmark_name")
    run = f"run {number}" if type(number) is int else ""
    return f"{name} {run}".strip() if isinstance(name, str) else run


def _parameters_of(fields: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return what a sweep added to a result: the run's number and the parameters that it was given."""
    if "run_number" not in fields:
        return {}
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, (str, int, float, bool)) and not name.startswith("avg_")
    }


def _mapping(value: object) -> Mapping[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
