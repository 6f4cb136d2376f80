"""Says what a message of a log means, and which messages mention a duration in an unknown wording."""

import re
from collections.abc import Sequence
from typing import Final

from ledger.adapters import CAUSE_LABELS, CAUSES
from ledger_vllm.message_patterns import DURATIONS, KEYWORDS, NOTICES, OCCURRENCES, UNSTAMPED_NOTICES
from ledger_vllm.messages import Durations, Notice, Occurrence, durations_in, notice_in, occurrence_in

_MAX_S: Final = 30_000_000
"""About a year: a message that states more is not about a start-up."""

_PATTERNS: Final = "|".join(row.pattern for row in (*DURATIONS, *OCCURRENCES, *NOTICES))
_MAY_MATCH: Final = re.compile(
    rf"(?:\[[\w.\-]+\] )?(?:{re.sub(r'[(][?]P<[a-z_]+>', '(?:', _PATTERNS)})", re.DOTALL
)
"""All of the table's patterns at once. A log of requests has millions of other messages that mention a
duration; to try each pattern on each of them would take most of the time of an import."""

_DURATION_WORDS: Final = ("took", "takes", "time:", "ime spent", "finished in", "completed in")
_MENTIONS_DURATION: Final = re.compile(
    r"(?:\b(?:took|takes|(?:finished|completed) in)\b|\btime:|\b[Tt]ime spent\b).{0,80}?"
    r"(?<![\w.])\d+(?:\.\d+)?\s?(?:ms|m?sec|s|secs|seconds?|m|min|minutes?|h|hours?)\b",
    re.DOTALL,
)

_OWN_REPORT: Final = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, CAUSE_LABELS.values()))})(?: \(\S+\))?: [+-][\d,]+\.\d{{3}} s\b"
    rf"|\b(?:{'|'.join(CAUSES)})(?: of \S+)? [+-][\d,]+\.\d{{3}}\b"
)
"""A row of the table of claims in a report of ours, as it says why the two numbers in it differ; then as
older ones said it."""

LINE_KEYWORDS: Final[Sequence[bytes]] = tuple(
    keyword.encode() for keyword in dict.fromkeys((*_DURATION_WORDS, *KEYWORDS))
)
"""A line that matters contains one of these: it is in the table, or mentions a duration."""

Meaning = Durations | Occurrence | Notice


def meaning_of(message: str) -> Meaning | None:
    """Return what a message says; None where it is in no known wording, or states what cannot be true."""
    if _MAY_MATCH.fullmatch(message) is None:
        return None
    if (durations := durations_in(message)) is not None:
        return durations if all(one.seconds <= _MAX_S for one in durations.stated) else None
    return occurrence_in(message) or notice_in(message)


def unstamped_notice_in(text: str) -> Notice | None:
    """Return what a text without the logger's stamp says about the start-up; mostly None."""
    for row in UNSTAMPED_NOTICES:
        if row.keyword in text and re.fullmatch(row.pattern, text, re.DOTALL) is not None:
            return Notice(row.name)
    return None


def mentions_duration(text: str) -> bool:
    """Whether a text seems to say how long something took."""
    return _MENTIONS_DURATION.search(text) is not None


def is_own_report(text: str) -> bool:
    """Whether a text is part of a report that `compile-ledger` printed: it quotes messages, and is none."""
    return _OWN_REPORT.search(text) is not None
