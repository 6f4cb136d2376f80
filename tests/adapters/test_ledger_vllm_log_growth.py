"""No line makes reading take more than time that grows with the line's length."""

import re
from functools import partial
from pathlib import Path

import pytest

from ledger_log_lines import linear_search
from ledger_log_lines.line_filter import LOOKED_AT
from ledger_log_lines.linear_search import Search
from ledger_log_lines.progress_bars import finished_bar_in, is_bar
from ledger_log_lines.stamps import Calendar
from ledger_vllm_log.importer import LogImporter
from ledger_vllm_log.message_meaning import (
    LINE_PATTERN,
    OTHER_PATTERN,
    meaning_of,
    mentions_duration,
    states_duration,
)
from ledger_vllm_log.message_patterns import BARS, ROWS, MessagePattern
from ledger_vllm_log.other_durations import OTHER_DURATIONS
from ledger_vllm_log.other_lines import durations_of, is_of_start, record_in
from tests.support.growth import assert_linear

MB = 1_000_000
STAMPED = "(EngineCore pid=1) INFO 05-01 20:45:04 [x.py:1] "


def pieces(row: MessagePattern) -> list[str]:
    """What a hostile line of a row may consist of: its example's words, again and again."""
    words = row.example.split(" ")
    return [row.example + " ", *(f"{word} " for word in (words[0], words[-1], words[len(words) // 2]))]


HOSTILE = sorted(
    {piece for row in (*ROWS, *BARS) for piece in pieces(row)}
    | {re.sub(r"[\\?*+(){}|\[\]]", "", other.pattern) for other in OTHER_DURATIONS}
    | {"1", "1.", "1:", "0:0:", "took ", "took 1", "a.", "(", "[", "[]", "() ", "[a] ", "a: ", "- ", "*"}
    | {"1% |", "100% |", "\x1b[", "INFO ", STAMPED, "2026-05-01 20:45:04 ", "(W pid=1) ", "<00:00", "\u2580 "}
)
BATCHES = 12


def grown(piece: str, size: int) -> str:
    return (piece * (size // len(piece) + 1))[:size]


@pytest.mark.parametrize("engine", ["re2", "re"])
def test_a_megabyte_is_searched_in_linear_time(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "re":
        monkeypatch.setattr(linear_search, "import_module", _missing)
    patterns = [linear_search.searching(pattern) for pattern in (LINE_PATTERN, OTHER_PATTERN)]

    def searching(size: int) -> partial[None]:
        return partial(_search, patterns, [grown(piece, size).encode()[:size] for piece in HOSTILE[::8]])

    assert_linear(searching, MB)


def _missing(name: str) -> None:
    raise ImportError(name)


def _search(patterns: list[Search], buffers: list[bytes]) -> None:
    for search in patterns:
        for buffer in buffers:
            place = 0
            while (found := search(buffer, place, len(buffer))) is not None:
                place = max(found.end(), place + 1) + 1_000


@pytest.mark.parametrize("batch", range(BATCHES))
def test_as_much_of_a_line_as_is_looked_at_is_understood_in_linear_time(batch: int) -> None:
    def understanding(size: int) -> partial[None]:
        texts = [grown(piece, size) for piece in HOSTILE[batch::BATCHES]]
        foreign = [f"2026-05-01 20:45:04 - INFO - {text}" for text in texts]
        return partial(_understand, [*texts, *foreign, *(f"took 1 s {text}?" for text in texts)])

    assert_linear(understanding, LOOKED_AT)


def _understand(texts: list[str]) -> None:
    meaning_of.cache_clear()
    for text in texts:
        meaning_of(text)
        states_duration(text)
        mentions_duration(text)
        is_bar(text)
        if (bar := finished_bar_in(text)) is not None:
            assert durations_of(bar) is None or is_of_start(bar)
        record_in(text, Calendar())


def test_a_log_of_hostile_lines_is_read_in_linear_time(tmp_path: Path) -> None:
    def reading(size: int) -> partial[None]:
        path = tmp_path / f"{size}.log"
        lines = (f"{STAMPED}took 1 s {grown(piece, size)}\n" for piece in HOSTILE[::6])
        path.write_text("".join(lines), encoding="utf-8")
        return partial(_read, path)

    assert_linear(reading, MB)


def _read(path: Path) -> None:
    for _ in LogImporter().read(path, lambda size: None):
        pass
