"""Counters that a child process writes and the test reads, while the child runs and after it was killed."""

import mmap


class SharedCounters:
    """Unsigned 64-bit numbers in memory that outlives the process which counts in it.

    A reader never sees half of a number: each assignment is one aligned store. `struct.pack_into` is no way
    to write them, since it clears the bytes before it sets them, and a kill may come between the two.
    """

    def __init__(self, number: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * number)).cast("Q")

    def __len__(self) -> int:
        return len(self._counts)

    def total(self) -> int:
        return sum(self._counts)

    def __getitem__(self, index: int) -> int:
        return self._counts[index]

    def __setitem__(self, index: int, count: int) -> None:
        self._counts[index] = count
