"""What a compile's line says where it does not say how long the compile took, but adds up other numbers.

Up to 0.19 the number was the sum of the lines before it, of Dynamo and of each graph, and was never set to 0:
"takes 5.71 s in total" of a model is followed by "takes 6.25 s in total" of its drafter, which took 0.54 s.
"""

from collections.abc import Sequence

from ledger_vllm.messages import Stated
from ledger_vllm_log.entries import Entry


class RunningSum:
    """The numbers that the compiles of one process have stated, one after the other."""

    def __init__(self) -> None:
        self._before_ns = 0
        self._stamp_ns = 0

    def take(self, entry: Entry, stated: Stated, parts: Sequence[Entry]) -> None:
        """Take a compile: note what its number adds up, and correct its length if that is not the number."""
        placed = entry.placed
        claimed_ns, own_ns = placed.length_ns, placed.length_ns - self._before_ns
        timed = [part for part in parts if part.claims]
        sum_ns = sum(part.placed.length_ns for part in timed)
        # The number is rounded, and so are those that it adds up.
        apart_ns = stated.resolution_ns * (2 + len(timed)) // 2
        since_ns = placed.stamp_ns - self._stamp_ns + placed.unit_ns
        if timed and abs(claimed_ns - sum_ns) <= apart_ns:
            entry.parts = len(parts)
        elif self._before_ns and own_ns > 0:
            is_sum = bool(timed) and abs(own_ns - sum_ns) <= apart_ns
            # A process compiles one thing after the other.
            if is_sum or own_ns <= since_ns < claimed_ns:
                placed.length_ns = own_ns
                entry.data["length"] = "stated together with that of the compile before it"
        self._before_ns, self._stamp_ns = claimed_ns, placed.stamp_ns
