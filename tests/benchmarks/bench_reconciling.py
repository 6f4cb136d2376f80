"""Reconciling thousands of claims with thousands of intervals, and 20,000 processes: how the work grows."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Figure, Goal, rounds

sys.path.insert(0, str(Path(__file__).parents[2]))

from ledger import Event
from ledger.gc_pause import gc_paused
from ledger.timeline.reconciliation import reconcile
from ledger.timeline.reducer import Reduced, reduce_session
from tests.support.many_claims import KINDS, in_one_total, in_running_totals
from tests.support.many_processes import chained, side_by_side

_SIZES = (1_250, 5_000)
_LONG, _PROCESSES = 100_000, 20_000
_ROUNDS = 3


def main() -> None:
    """Reconcile each kind at two sizes, and a long total; reduce sessions of many processes."""
    print(f"Reconciling {_SIZES[1]:,} claims with {_SIZES[1]:,} intervals")
    for kind in (*KINDS, in_running_totals):
        name = kind.__name__.replace("_", " ")
        small_s, large_s = (_seconds(_reconciling(reduce_session(kind(size)))) for size in _SIZES)
        print(Figure(f"claims {name}", large_s, "s"))
        growth = large_s / small_s * _SIZES[0] / _SIZES[1]
        print(Figure(f"claims {name}, growth against that of the size", growth, "x"))
    long_s = _seconds(_reconciling(reduce_session(in_one_total(_LONG))))
    print(Goal(f"a total over {_LONG:,} intervals, for each of these", long_s / _LONG * 1e6, 10, "µs"))
    for sessions in (side_by_side, chained):
        name = sessions.__name__.replace("_", " ")
        small_s, large_s = (_seconds(_reducing(sessions(size))) for size in (_PROCESSES // 4, _PROCESSES))
        print(Figure(f"reducing {_PROCESSES:,} processes {name}", large_s, "s"))
        print(Figure(f"processes {name}, growth against that of the number", large_s / small_s / 4, "x"))


def _reconciling(reduced: Reduced) -> Callable[[], object]:
    return lambda: reconcile(reduced)


def _reducing(events: list[Event]) -> Callable[[], object]:
    return lambda: reduce_session(events)


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of the fastest round."""
    found: list[float] = []
    for _ in range(rounds(_ROUNDS)):
        with gc_paused():
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    main()
