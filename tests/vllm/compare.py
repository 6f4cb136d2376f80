"""Measures what recording costs a start of vLLM: `python -m tests.vllm.compare [PAIRS]`.

Warm starts of the text model, in pairs with and without recording. Prints each, the difference of the pairs,
and how much equal starts differ among themselves.
"""

import statistics
import sys
import tempfile
from pathlib import Path

from tests.vllm import environment, models, starting

PAIRS = 5


def main() -> None:
    """Start once to fill the cache, then in pairs."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    python = environment.python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = models.write_text_model(folder / "text")

        def seconds(number: int, *, is_recorded: bool) -> float:
            ledger = folder / f"{number}.db"
            started = starting.run(python, model, folder / "cache", ledger=ledger, is_recorded=is_recorded)
            assert started.exit_code == 0, started.output[-2000:]
            return started.seconds

        print(f"cold, not recorded: {seconds(0, is_recorded=False):.2f} s", flush=True)
        without: list[float] = []
        recorded: list[float] = []
        for number in range(1, pairs + 1):
            # Which comes first changes, so that a machine that slows down favours neither.
            for is_recorded in (False, True) if number % 2 else (True, False):
                (recorded if is_recorded else without).append(seconds(number, is_recorded=is_recorded))
            print(f"pair {number}: without {without[-1]:.2f} s, recorded {recorded[-1]:.2f} s", flush=True)
    differences = [with_it - without_it for with_it, without_it in zip(recorded, without, strict=True)]
    print(f"median without {statistics.median(without):.2f} s, recorded {statistics.median(recorded):.2f} s")
    print(f"median difference of the pairs: {statistics.median(differences):+.2f} s")
    ranges = [f"{max(starts) - min(starts):.2f} s" for starts in (without, recorded)]
    print(f"equal starts differ by up to {ranges[0]} without and {ranges[1]} with recording")


if __name__ == "__main__":
    main()
