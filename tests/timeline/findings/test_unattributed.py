"""Time that no interval accounts for is a finding where it is a part of the start worth looking at."""

import pytest

from ledger import Finding, reduce
from ledger.testing import SessionBuilder
from tests.support.gpu_starts import gpu_starts
from tests.support.reading_logs import LOGS, read
from tests.support.reconciled import S
from tests.support.start_processes import StartedProcess
from tests.support.start_processes import findings as findings_of


def findings(builder: SessionBuilder) -> list[Finding]:
    return [one for one in reduce(builder.events).findings if one.finding == "unattributed_time"]


def start(*spans: tuple[float, float], ready: float) -> SessionBuilder:
    """A process that has a stage for each span, and is ready at a time, in seconds."""
    builder = SessionBuilder(process="engine")
    builder.begin()
    for begin, end in spans:
        builder.stop(round(end * S), builder.start(round(begin * S), "a_stage", activity="startup"))
    builder.milestone(round(ready * S), "engine_ready")
    return builder


def test_a_hole_in_the_start_is_a_finding_with_its_length_and_place() -> None:
    [found] = findings(start((0, 2), (5, 6), ready=10))
    assert (found.stake_ns, found.process) == (7 * S, "engine")
    assert found.summary == "unattributed: 4.0 s in engine after a_stage"


def test_a_small_part_of_the_start_is_none() -> None:
    assert findings(start((0, 9.6), ready=10)) == []


def test_a_short_start_is_none() -> None:
    assert findings(start((0, 0.01), ready=0.09)) == []


def test_a_hole_between_two_stages_names_both() -> None:
    builder = StartedProcess("engine")
    builder.stage("configuration", 0, 1)
    builder.stage("engine_init", 5, 10)
    builder.ready(10)
    [found] = findings_of("unattributed_time", builder)
    assert found.summary == "unattributed: 4.0 s in engine between configuration and engine_init"
    assert found.advice == "Put recorder.stage() around it; the query `holes` lists all"


def test_a_process_that_was_not_recorded_from_its_birth_should_be() -> None:
    late, whole = StartedProcess("engine"), StartedProcess("engine")
    whole.stage("interpreter_start", 0, 0.1, source="python")
    for process in (late, whole):
        process.stage("engine_init", 5, 10)
        process.ready(10)
    [found] = findings_of("unattributed_time", late)
    assert found.summary == "unattributed: 5.0 s in engine before its first stage"
    assert found.advice.startswith("Record it from its birth on")
    [found] = findings_of("unattributed_time", whole)
    assert found.advice.startswith("Put recorder.stage()")


def test_a_command_whose_processes_recorded_late_is_told_before_which_one() -> None:
    command, engine = StartedProcess("compile-ledger"), StartedProcess("engine", at=6)
    command.milestone(0, "command_started")
    engine.stage("engine_init", 6, 10)
    engine.ready(10)
    [found] = findings_of("unattributed_time", command, engine)
    assert (found.stake_ns, found.summary) == (
        6 * S,
        "unattributed: 6.0 s in compile-ledger before engine",
    )
    assert found.advice == "`compile-ledger doctor` says whether the command's processes record"


def test_a_command_that_goes_on_after_its_process_is_no_case_for_the_doctor() -> None:
    command, program = StartedProcess("compile-ledger"), StartedProcess("program")
    command.milestone(0, "command_started")
    program.stage("training", 0, 6)
    program.end(6 * S)
    command.milestone(9 * S, "command_ended")
    [found] = findings_of("unattributed_time", command, program)
    assert found.summary == "unattributed: 3.0 s in compile-ledger after program"
    assert found.advice == "Look at what the command does then: no process of it records"


@pytest.mark.parametrize("name", ["text-warm", "tp2-cold", "tp2-warm"])
def test_real_starts_that_were_recorded_from_the_birth_on_leave_nothing(name: str) -> None:
    assert [one for one in gpu_starts(name)[name].findings if one.finding == "unattributed_time"] == []


def test_a_log_has_only_what_is_printed() -> None:
    events = read(LOGS / "vllm-0.32.0-cpu-vl-cold.log").events
    [found] = findings_of("unattributed_time", events)
    assert found.advice == "Record the start itself: its log has only what is printed"


def test_many_short_holes_are_counted() -> None:
    builder = StartedProcess("engine")
    for number in range(40):
        builder.stage("a_stage", number / 10, number / 10 + 0.06)
    builder.ready(4)
    [found] = findings_of("unattributed_time", builder)
    assert found.summary == "unattributed: 40 pieces, none long"


def test_where_a_hole_lies_is_left_out_where_there_is_no_room_for_it() -> None:
    builder = SessionBuilder(process="engine")
    builder.begin()
    for begin, end in ((0, 2), (6, 8)):
        stage = f"a_stage_with_a_long_name_{begin}"
        builder.stop(end * S, builder.start(begin * S, stage, activity="startup"))
    builder.milestone(8 * S, "engine_ready")
    [found] = findings(builder)
    assert found.summary == "unattributed: 4.0 s in engine"
