"""Tells what a message of a log says, and which messages speak of time in words that are not known."""

import re
from collections.abc import Sequence
from typing import Final

from ledger_vllm.messages import Stated, stated

_MAX_S: Final = 30_000_000
"""A year or so: what says that it took longer is no log of a start."""
# Of the front end, which no interval is recorded of: only a log speaks of it.
_PROCESSOR_WARMUP: Final = re.compile(r"(?:\S+ ){1,5}warmup completed in (\d+(?:\.\d+)?)s")
_SPEAKS_OF_TIME: Final = re.compile(
    r"(?:\b(?:took|takes|(?:finished|completed) in)\b|\btime:|\b[Tt]ime spent\b).{0,80}?"
    r"(?<![\w.])\d+(?:\.\d+)?\s?(?:ms|m?sec|s|secs|seconds?|m|min|minutes?|h|hours?)\b",
    re.DOTALL,
)


def said_in(message: str) -> Sequence[Stated]:
    """Return the durations in a message that can be true."""
    said = stated(message)
    if not said and (found := _PROCESSOR_WARMUP.fullmatch(message)) is not None:
        resolution_ns = 10 ** max(0, 9 - len(found[1].partition(".")[2]))
        said = [Stated("warmup", "engine", float(found[1]), resolution_ns)]
    return said if all(one.seconds <= _MAX_S for one in said) else ()


def speaks_of_time(text: str) -> bool:
    """Tell whether a text seems to say how long something took."""
    return _SPEAKS_OF_TIME.search(text) is not None
