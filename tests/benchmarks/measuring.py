"""How the benchmarks measure: the smallest of several rounds. Each result is a line, which `run.py` keeps."""

import gc
import os
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_ROUNDS_AT_MOST: Final = int(os.environ.get("BENCH_ROUNDS", "100"))
_NUMBER: Final = r"(-?[\d.]+(?:e[-+]\d+)?)"
_LINE: Final = re.compile(rf"  (.+): {_NUMBER} (\S+)(?: \(at most {_NUMBER}\): (?:met|NOT MET))?")


@dataclass(frozen=True)
class Figure:
    """Something measured: what a ratio is the ratio of, for one."""

    name: str
    measured: float
    unit: str

    def __str__(self) -> str:
        return f"  {self.name}: {self.measured:.3g} {self.unit}"


@dataclass(frozen=True)
class Goal:
    """A measured ratio or number beside what it should be."""

    name: str
    measured: float
    limit: float
    unit: str

    def __str__(self) -> str:
        verdict = "met" if self.measured <= self.limit else "NOT MET"
        return f"  {self.name}: {self.measured:.3g} {self.unit} (at most {self.limit:.3g}): {verdict}"


def read_back(line: str) -> Figure | Goal | None:
    """Return what a printed line says, None where it is neither a figure nor a goal."""
    if (found := _LINE.fullmatch(line.rstrip("\n"))) is None:
        return None
    name, measured, unit, limit = found.groups()
    if limit is None:
        return Figure(name, float(measured), unit)
    return Goal(name, float(measured), float(limit), unit)


def rounds(number: int) -> int:
    """Return how often to measure: less than asked for where BENCH_ROUNDS says so, on a busy machine."""
    return min(number, _ROUNDS_AT_MOST)


def per_call_us(call: Callable[[], object], calls: int, most_rounds: int = 7) -> float:
    """Return microseconds a call: of the fastest round, since a shared machine only ever adds to it."""
    call()
    best = float("inf")
    for _ in range(rounds(most_rounds)):
        gc.collect()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


def peak_memory_mb() -> float:
    """Return the largest resident size that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
