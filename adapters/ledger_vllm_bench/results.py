"""Reads the results of `vllm bench startup`: for cold and for warm starts, what was reported of them."""

import math
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

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


def of_json(text: bytes) -> list[Reported] | None:
    """Return what a JSON result says; None where the text is none."""
    try:
        found: object = from_json(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    fields = cast("dict[str, object]", found)
    reported: list[Reported] = []
    for phase in PHASES:
        for metric in METRICS:
            name = f"{phase}_{metric}"
            times = fields.get(f"{name}_times")
            for number, value in enumerate(cast("list[object]", times) if isinstance(times, list) else ()):
                if (seconds := _seconds(value)) is not None:
                    text_of = f"{name}_times[{number}]={value}"
                    reported.append(Reported(phase, metric, number, None, seconds, 1_000, text_of))
    return reported or None


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
