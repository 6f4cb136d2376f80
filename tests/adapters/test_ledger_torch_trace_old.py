"""Traces as torch before 2.6 wrote them, and as copies have them: a record's own times, other ends of lines.

`tests/data/traces/torch-2.4.1` is a trace of torch 2.4.1's, whose paths and stacks were cut out.
"""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger import Event, ProcessJoined, StageStarted, StageStopped, TotalClaimed, reduce
from ledger.adapters import UnreadLine
from ledger_torch_trace import TorchTraceImporter
from ledger_torch_trace.old_records import compiled
from tests.support.paths import DATA

TRACES = DATA / "traces"
OLD = TRACES / "torch-2.4.1"
S = 1_000_000_000


def read(path: Path) -> tuple[list[Event], list[UnreadLine]]:
    items = list(TorchTraceImporter().read(path, lambda _: None))
    unread = [item for item in items if isinstance(item, UnreadLine)]
    return [item for item in items if not isinstance(item, UnreadLine)], unread


def record(fields: dict[str, Any], stamp: str, kind: str = "compilation_metrics") -> str:
    metadata = {kind: fields, "frame_id": 0, "frame_compile_id": 0, "attempt": 0}
    return f"V{stamp} 140144363024384 torch/_dynamo/utils.py:634] {json.dumps(metadata)}\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "dedicated_log_torch_trace_x.log"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_record_with_its_start_is_the_interval_of_its_compile() -> None:
    found, unread = read(OLD)
    timeline = reduce(found)
    assert unread == []
    assert [(one.stage, one.start_ns, one.duration_ns) for one in timeline.intervals] == [
        ("entire_frame_compile", 1_795_891_986_757_454_634, 2_358_533_382),
        ("entire_frame_compile", 1_795_891_989_147_593_498, 14_338_160_038),
    ]
    [total] = timeline.role_totals
    assert (total.role, total.activity, total.total_ns) == (
        "model",
        "compile",
        2_358_533_382 + 14_338_160_038,
    )
    assert [(one.function, one.kind, one.guards) for one in timeline.compilations] == [
        ("forward", "first", 11),
        ("torch_dynamo_resume_in_forward_at_8", "first", 12),
    ]


def test_each_duration_of_an_old_record_is_a_claim_by_torchs_name_of_its_stage() -> None:
    claims = [event for event in read(OLD)[0] if isinstance(event, TotalClaimed)]
    of_first = {
        claim.stage: claim.claimed_ns for claim in claims if (claim.data or {})["compile_id"] == "0/0"
    }
    assert of_first == {
        "entire_frame_compile": 2_358_533_382,
        "backend_compile": 2_216_193_199,
        "inductor_compile": 1_245_244_026,
        "code_gen": 26_414_156,
        "dynamo_time_before_restart_s": 92_392_921,
    }
    differences = [one.difference_ns for one in reduce(read(OLD)[0]).reconciliation]
    assert [one for one in differences if one is not None] == [0, 0]


def test_a_threads_address_is_no_process_id() -> None:
    [joined] = [event for event in read(OLD)[0] if isinstance(event, ProcessJoined)]
    assert (joined.name, joined.pid) == ("process", None)


def test_a_compile_that_failed_lasts_until_its_record_was_logged(tmp_path: Path) -> None:
    # torch 2.4 leaves the whole length out; 19:48:44.658138 UTC is 12:48:44.658138 seven zones to the west.
    fields = {
        "start_time": 1_716_580_124.658138,
        "entire_frame_compile_time_s": None,
        "fail_type": "InternalTorchDynamoError",
        "dynamo_time_before_restart_s": 8.5,
    }
    found, _ = read(written(tmp_path, record(fields, "0524 12:48:53.562000")))
    [stop] = [event for event in found if isinstance(event, StageStopped)]
    assert (stop.outcome, stop.error) == ("failed", "InternalTorchDynamoError")
    assert stop.at_ns == 1_716_580_133_562_000_000


def test_a_length_that_the_stamp_contradicts_is_only_a_claim(tmp_path: Path) -> None:
    fields = {"start_time": 1_716_580_124.0, "entire_frame_compile_time_s": 2.0}
    found, _ = read(written(tmp_path, record(fields, "0524 19:48:50.000000")))
    timeline = reduce(found)
    assert [one.duration_ns for one in timeline.intervals] == [6 * S]
    assert [(one.claimed_ns, one.measured_ns) for one in timeline.reconciliation] == [(2 * S, 6 * S)]


@given(
    start=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)),
    zone_quarters=st.integers(-12 * 4, 14 * 4),
    length_ms=st.integers(0, 48 * 3_600_000),
)
@example(start=datetime(2024, 2, 29, 23, 0), zone_quarters=56, length_ms=7_200_000)
@example(start=datetime(2024, 12, 31, 23, 59), zone_quarters=-20, length_ms=120_000)
@example(start=datetime(2025, 1, 1, 0, 0, 1), zone_quarters=-48, length_ms=500)
def test_year_and_zone_of_a_stamp_follow_from_the_start(
    start: datetime, zone_quarters: int, length_ms: int
) -> None:
    start_s = round(start.replace(tzinfo=timezone.utc).timestamp())
    end_ms = start_s * 1000 + length_ms
    local = datetime.fromtimestamp(end_ms // 1000 + zone_quarters * 900, timezone.utc)
    stamp = f"{local:%m%d %H:%M:%S}.{end_ms % 1000:03}000"
    # A length that does not fit, so that the stamp alone says when it ended.
    fields = {"start_time": float(start_s), "entire_frame_compile_time_s": max(0.0, length_ms / 1000 - 0.5)}
    times = compiled(fields, stamp)
    assert times is not None
    fits = length_ms < 500 and length_ms <= 10
    expected_ms = start_s * 1000 if fits else end_ms
    assert (times.start_ns, times.stop_ns) == (start_s * S, expected_ms * 1_000_000)


@pytest.mark.parametrize("start", ["1716580124", None, True, -1.0, float("inf"), float("nan"), 1e300])
def test_a_start_that_is_no_time_is_none(start: object) -> None:
    assert compiled({"start_time": start}, "0524 12:48:53.562000") is None


def test_records_with_begins_and_ends_beside_them_are_no_second_interval() -> None:
    [file] = (TRACES / "block").glob("*.log")
    starts = [event for event in read(file)[0] if isinstance(event, StageStarted)]
    assert "start_time" in file.read_text()
    assert len(starts) == file.read_text().count('"ph": "B"')


def test_records_without_any_time_say_so(tmp_path: Path) -> None:
    found, unread = read(written(tmp_path, record({"inductor_compile_time_s": 1.5}, "0524 12:48:53.562000")))
    assert found == []
    assert [line.reason for line in unread] == [
        "no time: it has neither `end_time_us` nor `start_time`, and nothing before it has one"
    ]


def test_a_trace_without_compiles_says_what_is_missing(tmp_path: Path) -> None:
    text = record({"stack": []}, "0524 12:48:53.562000", "dynamo_start")
    found, unread = read(written(tmp_path, text))
    assert found == []
    assert [line.reason.partition(":")[0] for line in unread] == ["no times"]
    assert "compile-ledger record" in unread[0].reason


# -- copies ------------------------------------------------------------------------------------------------


def without_ids(items: tuple[list[Event], list[UnreadLine]]) -> list[dict[str, Any]]:
    assert items[1] == []
    return [event.model_dump(exclude={"session", "process"}) for event in items[0]]


@pytest.mark.parametrize("folder", [OLD, TRACES / "block"], ids=lambda path: path.name)
def test_lines_that_end_as_on_windows_are_read_alike(folder: Path, tmp_path: Path) -> None:
    [file] = folder.glob("*.log")
    copy = written(tmp_path, file.read_bytes().replace(b"\n", b"\r\n"))
    assert without_ids(read(copy)) == without_ids(read(file))


@pytest.mark.parametrize("folder", [OLD, TRACES / "block"], ids=lambda path: path.name)
def test_payloads_whose_blank_lines_lost_their_tab_are_read_alike(folder: Path, tmp_path: Path) -> None:
    [file] = folder.glob("*.log")
    graph = '{"aot_joint_graph": {}, "has_payload": "0"}\n\tclass joint:\n\n\t    x = 1\n\n\n\t    y = 2\n'
    first, newline, rest = file.read_text().partition("\n")
    prefix = first.partition("] ")[0]
    copy = written(tmp_path, f"\n{prefix}] {graph}{first}{newline}{rest}\n\n")
    assert TorchTraceImporter().recognises(copy, copy.read_bytes())
    assert without_ids(read(copy)) == without_ids(read(file))
