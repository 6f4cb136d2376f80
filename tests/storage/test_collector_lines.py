"""What the collector makes of a journal's lines is what the events' models make of each alone."""

from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import line_rows
from ledger.events.models import to_line
from ledger.recording.journal import journal_folder
from ledger.storage import collector
from ledger.storage.collector import Collected, collect
from ledger.storage.store import Store
from tests.events.test_line_rows import by_model, odd_lines
from tests.support.collecting import GONE, joined, left, milestones

STAGES = [
    b'{"kind":"stage_started","session":"s","process":"p","seq":%d,"at_ns":%d,"interval":%d,"stage":"dynamo",'
    b'"source":"torch","activity":"compile"}' % (seq, seq, seq)
    for seq in range(2, 6)
]
EVENTS = [
    to_line(event).rstrip() for event in (joined("p", **GONE), *milestones("p", range(1, 8)), left("p", 8))
]
lines = st.lists(
    st.one_of(
        st.sampled_from([*EVENTS, *STAGES, b"", b" ", b"{}", b"garbled", b"\xff"]),
        odd_lines(),
        # Two that a reader of both at once could take for one, or one for two.
        st.sampled_from([EVENTS[1] + b"," + EVENTS[2], STAGES[0][:-1] + b',"data":{"a":[1', b"2]}}"]),
    ),
    max_size=12,
)


@settings(max_examples=150)
@given(lines, st.integers(1, 7), st.integers(1, 5))
def test_rows_rejections_and_progress_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], lines_a_batch: int, parsed_at_once: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "startup.db"
    journal_folder(path).mkdir()
    (journal_folder(path) / "p.jsonl").write_bytes(b"".join(text + b"\n" for text in texts))
    with mock.patch.multiple(collector, _BATCH_LINES=lines_a_batch, _PARSED_AT_ONCE=parsed_at_once):
        found = collected(path)
        with mock.patch.object(line_rows, "parse_row", by_model):
            assert collected(path) == found


def collected(path: Path) -> tuple[Collected, list[object]]:
    """Collect into memory; return what was done, and all that the ledger then holds."""
    store = Store.in_memory()
    try:
        done = collect(store, journal_folder(path))
        tables = ("events", "rejected_lines", "journal_progress")
        return done, [row for table in tables for row in store.select(f"SELECT * FROM {table}")]
    finally:
        store.close()
