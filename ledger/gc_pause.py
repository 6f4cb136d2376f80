"""Pauses garbage collection while millions of acyclic tuples are built."""

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Generator[None]:
    """Turn the cyclic garbage collector off in the block.

    It would search the tuples again and again, for a quarter of the time of collecting journals and a third
    of projecting them (tests/benchmarks).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
