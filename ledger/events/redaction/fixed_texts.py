"""Finds many fixed texts in one pass over a text, however many there are."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

_HEAD: Final = 4
"""Characters that a text is found by; few texts begin with the same ones and have another length."""


class FixedTexts:
    """Some texts, of which the longest is taken where several begin at one place."""

    def __init__(self, texts: Iterable[str]) -> None:
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        self._texts: Final = frozenset(filter(None, texts))
        for text in self._texts:
            lengths[text[:_HEAD]].add(len(text))
        self._lengths: Final = {head: sorted(found, reverse=True) for head, found in lengths.items()}
        # Where one head begins with another, the longer one is looked for first.
        heads = sorted(self._lengths, key=lambda head: (-len(head), head))
        self._heads: Final = re.compile("|".join(map(re.escape, heads))) if heads else None

    def replaced(self, text: str, replacement: Callable[[str], str]) -> str:
        """Return a text with each of these in it replaced."""
        if self._heads is None or (found := self._heads.search(text)) is None:
            return text
        pieces: list[str] = []
        done = 0
        while found is not None:
            begin = found.start()
            there = self._at(text, begin)
            end = begin + 1 if there is None else begin + len(there)
            pieces += (text[done:begin], text[begin:end] if there is None else replacement(there))
            done = end
            found = self._heads.search(text, done)
        return "".join((*pieces, text[done:]))

    def _at(self, text: str, begin: int) -> str | None:
        for size in range(_HEAD, 0, -1):
            for length in self._lengths.get(text[begin : begin + size], ()):
                if (part := text[begin : begin + length]) in self._texts:
                    return part
        return None
