"""Recorded starts, each of which answers a question that people ask: see `tests.take.five_questions`."""

import gzip
from collections.abc import Mapping
from functools import cache
from typing import Final

from ledger import Ledger, parse_event
from ledger.testing import MemoryLedger
from tests.support.gpu_starts import gpu_ledger
from tests.support.paths import DATA

FOLDER: Final = DATA / "questions"
QUESTIONS: Final[Mapping[str, str]] = {
    "cold": "It was cold, why?",
    "recompiles": "It recompiles, why and where?",
    "imports": "A third of the start is imports: which?",
    "slow_rank": "Rank 3 is slow: where?",
    "two_numbers": "vLLM says 9 s, and it took 59: why?",
}


@cache
def asked(question: str) -> Ledger:
    """Return a ledger whose newest session answers a question."""
    if question == "two_numbers":
        return gpu_ledger("text-cold")
    lines = gzip.decompress((FOLDER / f"{question}.jsonl.gz").read_bytes()).splitlines()
    return MemoryLedger(map(parse_event, lines))
