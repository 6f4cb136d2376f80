"""A session as text: what is written is read back, and what is not whole is told, with its place."""

import gzip
import json
import os
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Event, InvalidLines, LedgerError, MilestoneReached, NewerLedger, Recorder, read_events
from ledger.events.jsonl import Bad, EndMark, lines_of, looks_like_lines, unchecked_lines
from ledger.events.models import to_line
from ledger.recording.journal import journal_folder, journals
from ledger.testing import MemoryLedger
from tests.events.test_models import events as any_events
from tests.support.collecting import joined, left, milestones
from tests.support.random_sessions import sessions

EVENTS: list[Event] = [joined("p"), *milestones("p", range(1, 6)), left("p", 6)]


def content(events: Iterable[Event] = EVENTS) -> bytes:
    return b"".join(lines_of(events))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def refused(file: Path, *said: str) -> str:
    """Return the one line with which a file is refused, before anything of it was given out."""
    with pytest.raises(LedgerError) as raised:
        read_events(file)
    text = str(raised.value)
    assert "\n" not in text
    assert str(file) in text
    for words in said:
        assert words in text
    return text


class TestThereAndBack:
    @given(st.lists(any_events, max_size=4))
    def test_events_come_back_as_they_were(
        self, tmp_path_factory: pytest.TempPathFactory, events: list[Event]
    ) -> None:
        file = tmp_path_factory.mktemp("lines") / "session.jsonl"
        file.write_bytes(content(events))
        assert list(read_events(file)) == events

    def test_each_line_is_a_journal_s_and_the_last_one_an_end_mark(self) -> None:
        *lines, mark = lines_of(EVENTS)
        assert lines == list(map(to_line, EVENTS))
        assert list(json.loads(mark)) == ["kind", "event_format", "events", "sha256"]
        assert json.loads(mark)["events"] == len(EVENTS)

    @given(sessions())
    def test_the_same_events_are_the_same_bytes_however_they_came_in(self, events: list[Event]) -> None:
        if events:
            there, backwards = MemoryLedger(events), MemoryLedger(reversed(events))
            assert b"".join(there.export()) == b"".join(backwards.export())
            there.close()
            backwards.close()

    def test_exports_may_stand_one_after_another_in_a_file(self, file: Path) -> None:
        other = milestones("q", range(3))
        file.write_bytes(content() + content(other) + content())
        assert list(read_events(file)) == [*EVENTS, *other, *EVENTS]

    def test_an_export_of_nothing_holds_nothing(self, file: Path) -> None:
        file.write_bytes(content([]))
        assert list(read_events(file)) == []

    @pytest.mark.parametrize(
        "changed",
        [
            content()[:-1],
            content().replace(b"\n", b"\r\n"),
            b"\n" + content().replace(b"\n", b"\n\n"),
        ],
        ids=["without its last newline", "with two bytes for each newline", "with empty lines"],
    )
    def test_what_mail_and_editors_do_to_the_ends_of_lines_is_no_harm(
        self, file: Path, changed: bytes
    ) -> None:
        file.write_bytes(changed)
        assert list(read_events(file)) == EVENTS

    def test_a_file_of_any_size_is_read_in_constant_memory(self, file: Path) -> None:
        def many(number: int) -> Iterator[Event]:
            for seq in range(number):
                yield MilestoneReached(session="s", process="p", seq=seq, at_ns=seq, name="m" * 200)

        def peak(number: int) -> int:
            with file.open("wb") as out:
                out.writelines(lines_of(many(number)))
            tracemalloc.start()
            try:
                assert sum(1 for _ in read_events(file)) == number
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        peak(100)
        assert peak(4_000) < peak(400) + 100_000


CUTS: dict[str, Callable[[list[bytes]], bytes]] = {
    "its end mark": lambda lines: b"".join(lines[:-1]),
    "half of the end mark": lambda lines: b"".join(lines)[:-20],
    "half of the end mark, with a newline": lambda lines: b"".join(lines)[:-20] + b"\n",
    "some lines at the end": lambda lines: b"".join(lines[:4]),
    "half a line": lambda lines: b"".join(lines[:4])[:-9],
    "the last newline of a line": lambda lines: b"".join(lines[:4])[:-1],
    "the first line": lambda lines: b"".join(lines[1:]),
    "lines in the middle": lambda lines: b"".join(lines[:2] + lines[4:]),
    "the end of a second export": lambda lines: b"".join(lines + lines[:3]),
    "the beginning of a line": lambda lines: b"".join([*lines[:2], lines[2][10:], *lines[3:]]),
}
CHANGES: dict[str, Callable[[list[bytes]], bytes]] = {
    "two lines in another order": lambda lines: b"".join([*lines[:2], lines[3], lines[2], *lines[4:]]),
    "backwards": lambda lines: b"".join([*lines[-2::-1], lines[-1]]),
    "a line twice": lambda lines: b"".join([*lines[:2], lines[1], *lines[2:]]),
    "another number": lambda lines: b"".join(lines).replace(b'"at_ns":3', b'"at_ns":7'),
    "another name": lambda lines: b"".join(lines).replace(b'"m3"', b'"xx"'),
    "a space more": lambda lines: b"".join(lines).replace(b'"m3"', b' "m3"'),
    "another end mark": lambda lines: b"".join(lines).replace(b'"events":7', b'"events":8'),
}


class TestNotWhole:
    @pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
    def test_a_cut_file_is_known(self, file: Path, cut: Callable[[list[bytes]], bytes]) -> None:
        file.write_bytes(cut(list(lines_of(EVENTS))))
        refused(file, "--unchecked")

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_a_changed_file_is_known(self, file: Path, change: Callable[[list[bytes]], bytes]) -> None:
        file.write_bytes(change(list(lines_of(EVENTS))))
        refused(file, "lines 1 to ", "--unchecked")

    def test_wherever_it_is_cut_it_is_known(self, file: Path) -> None:
        whole = content()
        for length in range(len(whole) - 1):
            file.write_bytes(whole[:length])
            refused(file)

    @given(st.data())
    def test_whatever_byte_is_another_it_is_known(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        file = tmp_path_factory.mktemp("lines") / "session.jsonl"
        whole = content()
        place = data.draw(st.integers(0, len(whole) - 2))
        other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
        file.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        # One byte of a line's end may be another one of a line's end.
        with suppress(LedgerError):
            assert list(read_events(file)) == EVENTS

    def test_the_answer_names_the_line_and_what_is_wrong_with_it(self, file: Path) -> None:
        lines = list(lines_of(EVENTS))
        file.write_bytes(b"".join(lines[:-1]))
        refused(file, "cut off after line 7", "no end mark")
        file.write_bytes(b"".join(lines[:3])[:-9])
        refused(file, "line 3: cut off in the middle")
        file.write_bytes(b"".join([*lines[:2], b'{"kind":"milestone_reached"}\n', *lines[3:]]))
        refused(file, "line 3: no event: milestone_reached.session: Field required")
        file.write_bytes(b"".join(lines[:2] + lines[3:]))
        refused(file, "lines 1 to 7", "6 events where 7 were exported")
        file.write_bytes(b"".join(lines) + b"".join([lines[1], lines[0], *lines[2:]]))
        refused(file, "lines 9 to 16", "in another order")

    def test_nothing_is_given_out_of_a_file_that_is_not_whole(self, file: Path) -> None:
        file.write_bytes(content()[:-30])
        with pytest.raises(InvalidLines):
            read_events(file)

    def test_what_is_changed_while_it_is_read_is_known_as_well(self, file: Path) -> None:
        file.write_bytes(content())
        events = read_events(file)
        file.write_bytes(content().replace(b'"m3"', b'"xx"'))
        with pytest.raises(InvalidLines):
            list(events)


class TestForeign:
    @pytest.mark.parametrize(
        ("found", "said"),
        [
            (b"", "an empty file"),
            (b"\n\n", "an empty file"),
            (b'{"hello": "world"}\n', "JSON, but no event of ours"),
            (b'{"name": "dynamo", "ph": "B", "ts": 1}\n', "JSON, but no event of ours"),
            (b"[1, 2]\n", "JSON, but no event of ours"),
            (b"one\n", "its first line is not JSON: 'one'"),
            (b"INFO 11-22 16:13:07 [core.py:1] init engine took 5 s\n", "`compile-ledger import` takes logs"),
            (b'V1122 16:13:07.123456 1 torch/x.py:22] {"str": ["x", 0]}\n', "takes logs and traces"),
            (gzip.compress(content(), mtime=0), "gunzip"),
            (b"\x00\x01\x02" * 50, "a binary file"),
            (content().decode().encode("utf-16"), "a binary file"),
        ],
    )  # fmt: skip
    def test_what_is_something_else_is_told(self, file: Path, found: bytes, said: str) -> None:
        file.write_bytes(found)
        refused(file, said)

    def test_a_ledger_is_told(self, file: Path) -> None:
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        refused(file, "a SQLite file")

    def test_what_can_not_be_read_is_told(self, tmp_path: Path) -> None:
        refused(tmp_path / "missing.jsonl", "No such file")
        refused(tmp_path, "directory")

    def test_a_newer_version_s_file_is_told_apart_from_a_damaged_one(self, file: Path) -> None:
        lines = list(lines_of(EVENTS))
        newer = [*lines[:-1], b'{"kind":"stage_paused","session":"s"}\n', lines[-1]]
        file.write_bytes(b"".join(newer).replace(b'"event_format":1', b'"event_format":2,"more":"yes"'))
        with pytest.raises(NewerLedger, match=r"event format 2.*pip install -U"):
            read_events(file)

    def test_a_line_without_an_end_is_not_taken_into_memory(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ledger.events.jsonl.LONGEST", 1_000)
        file.write_bytes(b'{"kind":"stage_started","session":"' + b"x" * 5_000)
        refused(file, "line 1: longer than 1,000 bytes")


class TestUnchecked:
    def test_a_journal_s_copy_is_taken_as_it_is(self, tmp_path: Path) -> None:
        recorder = Recorder.open(tmp_path / "startup.db")
        recorder.milestone("engine_ready")
        [journal] = journals(journal_folder(tmp_path / "startup.db"))
        kinds = [getattr(line.content, "kind", None) for line in unchecked_lines(journal)]
        assert kinds == ["session_started", "process_joined", "milestone_reached"]
        refused(journal, "no end mark")
        recorder.close()

    def test_bad_lines_are_given_with_their_numbers_and_end_marks_as_what_they_are(self, file: Path) -> None:
        lines = list(lines_of(EVENTS))
        file.write_bytes(b"".join([lines[0], b"garbled\n", lines[-1], lines[2][:-9]]))
        found = list(unchecked_lines(file))
        assert [line.number for line in found] == [1, 2, 3, 4]
        assert found[0].content == EVENTS[0]
        assert isinstance(found[1].content, Bad)
        assert isinstance(found[2].content, EndMark)
        assert isinstance(found[3].content, Bad)
        assert found[3].content.reason == "incomplete last line"
        assert sum(line.size for line in found) == os.path.getsize(file)


@pytest.mark.parametrize(
    ("head", "is_ours"),
    [
        (content()[:200], True),
        (b'garbled\n{"kind": "stage_started", "ses', True),
        (b'{"kind":"end_of_export","eve', True),
        (b'{"kind":"pod","name":"x"}', False),
        (b"INFO 11-22 16:13:07 [core.py:1] kind: stage_started", False),
    ],
)
def test_what_it_is_shows_at_its_beginning(head: bytes, is_ours: bool) -> None:
    assert looks_like_lines(head) == is_ours
