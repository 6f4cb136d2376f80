"""How the benchmarks measure: the smallest of several rounds. Each result is a line, which `run.py` keeps."""

import gc
import os
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

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


class Took(NamedTuple):
    """What something took."""

    wall_s: float
    processor_s: float
    """Of this process and of those that it started and that have ended."""


def fastest(call: Callable[[], object], most_rounds: int = 3) -> Took:
    """Return the least time on the wall, and the least processor time, of some calls."""
    taken = [_took(call) for _ in range(rounds(most_rounds))]
    return Took(min(each.wall_s for each in taken), min(each.processor_s for each in taken))


def _took(call: Callable[[], object]) -> Took:
    wall_s, processor_s = time.perf_counter(), _processor_s()
    call()
    return Took(time.perf_counter() - wall_s, _processor_s() - processor_s)


def _processor_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_memory_mb() -> float:
    """Return the largest resident size that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
