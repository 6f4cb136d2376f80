"""When a log's stamps were, by what stands in front of them or by when its file was last changed."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ledger import GapNoted, Ledger
from ledger.interchange.importers import import_into
from ledger.storage.store import Store
from ledger_log_lines.wall_clock import FileClock
from ledger_vllm_log.importer import importer
from tests.support.reading_logs import S, import_content, line, read

BEGINS = "Initializing a V1 LLM engine (v0.24.0) with config: x"
INIT = "init engine (profile, create kv cache, warmup model) took 9.00 s"


def ns(text: str) -> int:
    """A time, with its zone, in ns since the epoch."""
    return (
        (datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
        // timedelta(microseconds=1)
        * 1_000
    )


def wall(changed: str, first: str, last: str | None = None) -> str | None:
    """The wall clock at a first stamp, in UTC."""
    found = FileClock(ns(changed), last).wall_ns(first)
    return (
        None
        if found is None
        else datetime.fromtimestamp(found / S, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    )


class TestYear:
    @pytest.mark.parametrize(
        ("changed", "first", "found"),
        [
            ("2026-11-28T11:19:00+00:00", "11-22 09:13:52", "2026-11-22 09:13:52"),
            ("2026-11-20T11:19:00+00:00", "11-22 09:13:52", "2025-11-22 09:13:52"),
            # East of UTC it is later than the file's clock.
            ("2026-11-22T01:00:00+00:00", "11-22 09:13:52", "2026-11-22 09:13:52"),
            ("2027-01-01T00:10:00+00:00", "12-31 23:58:00", "2026-12-31 23:58:00"),
            ("2026-12-31T20:00:00+00:00", "01-01 05:00:00", "2027-01-01 05:00:00"),
            ("2027-03-01T00:00:00+00:00", "02-29 12:00:00", "2024-02-29 12:00:00"),
            ("2103-03-01T00:00:00+00:00", "02-29 12:00:00", "2096-02-29 12:00:00"),
            # vLLM's JSON has the year.
            ("2026-11-28T11:19:00+00:00", "2024-11-22 09:13:52,123", "2024-11-22 09:13:52"),
            ("2026-11-28T11:19:00+00:00", "13-45 09:13:52", None),
            ("2026-11-28T11:19:00+00:00", "yesterday", None),
        ],
    )
    def test_it_is_the_latest_in_which_the_first_stamp_is_not_after_the_files_last_change(
        self, changed: str, first: str, found: str | None
    ) -> None:
        assert wall(changed, first) == found


class TestZone:
    @pytest.mark.parametrize(
        ("changed", "found"),
        [
            ("2026-11-22T09:14:47+00:00", "09:13:52"),
            ("2026-11-22T17:14:48+00:00", "17:13:52"),  # 8 hours behind UTC
            ("2026-11-22T03:44:47+00:00", "03:43:52"),  # in India
            ("2026-11-22T03:29:49+00:00", "03:28:52"),  # in Nepal
            # Changed later, by somebody else: nothing shows the zone.
            ("2026-11-22T17:14:50+00:00", "09:13:52"),
            ("2026-11-22T17:14:46+00:00", "09:13:52"),
            ("2026-11-24T09:14:47+00:00", "09:13:52"),
        ],
    )
    def test_it_is_the_one_in_which_the_file_was_changed_right_after_the_last_stamp(
        self, changed: str, found: str
    ) -> None:
        assert wall(changed, "11-22 09:13:52", "11-22 09:14:47") == f"2026-11-22 {found}"

    def test_it_may_lie_in_another_year(self) -> None:
        changed, first, last = "2027-01-01T05:00:01+00:00", "12-31 20:30:00", "12-31 21:00:00"
        assert wall(changed, first, last) == "2027-01-01 04:30:00"


def changed(path: Path, at: str) -> None:
    os.utime(path, ns=(ns(at), ns(at)))


class TestSession:
    """What a session says of it."""

    def sessions(self, *paths: Path) -> list[tuple[object, object]]:
        ledger_path = paths[0].parent / "startup.db"
        ledger_path.unlink(missing_ok=True)
        store = Store.open(ledger_path)
        for path in paths:
            done = import_into(store, path, importer(), lambda _: None)
            assert done.conflicting == 0
        store.close()
        with Ledger.open(ledger_path) as ledger:
            rows = ledger.sql("SELECT started_at, ended_at FROM sessions ORDER BY session")
        return [(row["started_at"], row["ended_at"]) for row in rows]

    def test_it_begins_at_its_first_stamp_and_ends_at_its_last(self, tmp_path: Path) -> None:
        path = tmp_path / "vllm.log"
        lines = [line("Using x", "23:00:00"), line(BEGINS, "23:00:10"), line(INIT, "23:00:30")]
        path.write_text("\n".join([*lines, line("Bye", "23:59:59").replace("11-22", "11-23"), "not stamped"]))
        changed(path, "2026-11-24T07:59:59+00:00")
        assert self.sessions(path) == [("2026-11-23T07:00:00.000000Z", "2026-11-24T07:59:59.000000Z")]
        # The same log in another file says nothing else: what the ledger has stays.
        copy = tmp_path / "copy.log"
        copy.write_text(path.read_text())
        assert self.sessions(path, copy) == [("2026-11-23T07:00:00.000000Z", "2026-11-24T07:59:59.000000Z")]

    def test_that_it_is_the_files_is_noted_and_what_a_line_says_goes_before(self, tmp_path: Path) -> None:
        imported = import_content(tmp_path, line(BEGINS), line(INIT, "09:18:30"))
        [gap] = [one for one in imported.events if isinstance(one, GapNoted) and one.what == "wall_clock"]
        assert "neither year nor zone" in (gap.detail or "")
        stated = line("Using x", "09:18:00", "2025-03-04T01:02:03Z (Worker_TP0 pid=7) ")
        imported = import_content(tmp_path, stated, line(BEGINS), line(INIT, "09:18:30"))
        assert not any(isinstance(one, GapNoted) and one.what == "wall_clock" for one in imported.events)
        assert self.sessions(tmp_path / "vllm.log") == [
            ("2025-03-04T01:02:03.000000Z", "2025-03-04T01:02:33.000000Z")
        ]

    def test_milliseconds_of_vllms_json_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "vllm.log"
        path.write_text(
            '{"asctime": "2026-11-22 09:18:02,250", "levelname": "INFO", "message": "' + BEGINS + '", '
            '"name": "vllm.v1", "processName": "EngineCore", "process": 5}\n'
        )
        changed(path, "2027-11-22T00:00:00+00:00")
        assert read(path).events
        assert self.sessions(path)[0][0] == "2026-11-22T09:18:02.250000Z"
