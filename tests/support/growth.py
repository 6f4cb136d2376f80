"""How work grows with the size of its input, in processor time: linear or not, on however busy a machine."""

import gc
import time
from collections.abc import Callable
from typing import Final

GROWS_BY: Final = 8
_ROUNDS: Final = 3
_TOO_MUCH: Final = 24
"""Linear work grows by 8 and quadratic work by 64; this is about the middle of the two."""


def assert_linear(work_on: Callable[[int], Callable[[], object]], size: int) -> None:
    """Fail where work on `size` takes much more than 8 times the work on an eighth of it.

    `work_on` prepares work of a size and returns it. The smaller is done first: what hangs, hangs early.
    """
    small_s = _processor_seconds(work_on(size // GROWS_BY))
    large_s = _processor_seconds(work_on(size))
    assert large_s < _TOO_MUCH * small_s, f"{large_s / small_s:.1f} times the work, not {GROWS_BY}"


def _processor_seconds(work: Callable[[], object]) -> float:
    """Return the smallest of a few rounds: what disturbs one only ever adds to it."""
    best_s = float("inf")
    for _ in range(_ROUNDS):
        gc.collect()
        gc.disable()
        try:
            start_s = time.process_time()
            work()
            best_s = min(best_s, time.process_time() - start_s)
        finally:
            gc.enable()
    return best_s
