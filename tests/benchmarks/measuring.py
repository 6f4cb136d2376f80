"""How the benchmarks measure: the smallest of several rounds, and a line a result."""

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass


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


def per_call_us(call: Callable[[], object], calls: int, rounds: int = 7) -> float:
    """Return microseconds a call: of the fastest round, since a shared machine only ever adds to it."""
    call()
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


def peak_memory_mb() -> float:
    """Return the largest resident size that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
