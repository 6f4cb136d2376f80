"""Reads progress bars that were shown to their end: what they show has no stamp of its own."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger_log_lines.plain_text import end_of_any_stamp

_S: Final = 1_000_000_000

_BAR: Final = re.compile(
    r"(?P<before>(?:\([^()]{1,99}\) *){0,3})(?P<description>[^%\r\n]{0,200}?):? {1,9}"
    # Where there is no terminal, some versions of tqdm leave out the bar itself.
    r"100% ?(?:Completed ?)?(?:\|(?:[^|]*\|)?)? *(?P<done>[\d.]+\w?)/(?P<total>[\d.]+\w?) "
    r"\[(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d\d)<00:00[,\]]"
)
_ANY_BAR: Final = re.compile(
    r"\d% ?(?:Completed ?)?(?:\||[\d.]+\w?/[\d.]+).{0,300}\[[\d:?]+<[\d:?]+", re.DOTALL
)


class Bar(NamedTuple):
    """A progress bar that was shown to its end."""

    before: str
    """What stands in front of its description: the process, if anything."""
    description: str
    text: str
    seconds: int
    """Cut to whole ones."""


def is_bar(text: str) -> bool:
    """Whether a plain text shows a progress bar, however far it came."""
    return _ANY_BAR.search(text) is not None


def finished_bar_in(text: str) -> Bar | None:
    """Return the progress bar that a plain text shows, if it came to its end, and took a second at least."""
    text = text[end_of_any_stamp(text) :]
    match = _BAR.match(text)
    if match is None or match["done"] != match["total"]:
        return None
    seconds = 3_600 * int(match["hours"] or 0) + 60 * int(match["minutes"]) + int(match["seconds"])
    return Bar(match["before"], match["description"].strip(), text, seconds) if seconds else None


class WaitingBars:
    """Finished bars, of which only the next stamp says by when they were there."""

    def __init__(self) -> None:
        self._bars: list[tuple[Bar, int, int]] = []

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._bars)

    def add(self, bar: Bar, line: int, last_ns: int) -> None:
        """Take a bar that came after a stamp. A bar is often shown twice at its end."""
        if self._bars and self._bars[-1][0][:2] == bar[:2]:
            _, line, last_ns = self._bars.pop()
        self._bars.append((bar, line, last_ns))

    def take(self, next_ns: int | None) -> Iterator[tuple[Bar, int, int, int]]:
        """Yield each bar with its line, the earliest time of its end, and how much later that can be."""
        bars, self._bars = self._bars, []
        for bar, line, last_ns in bars:
            at_ns = last_ns + bar.seconds * _S
            if next_ns is not None:
                at_ns = max(last_ns, min(at_ns, next_ns))
            yield bar, line, at_ns, _S if next_ns is None else max(_S, next_ns - at_ns)
