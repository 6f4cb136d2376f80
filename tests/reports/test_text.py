"""The report as text: what is shown, in which order, and what never is."""

import io
import re

from rich.console import Console

from ledger.durations import seconds, signed, three_places
from ledger.reports.from_ledger import read_report
from ledger.reports.terminal_table import table
from ledger.reports.text import print_report
from ledger.testing import MemoryLedger, SessionBuilder
from tests.reports.test_html import kept
from tests.support.gpu_starts import gpu_events
from tests.support.many_processes import side_by_side

SECOND = 1_000_000_000


def printed(builder: SessionBuilder, width: int = 200) -> str:
    text = io.StringIO()
    ledger = MemoryLedger(builder.events)
    print_report(read_report(ledger, ledger.session()), Console(file=text, width=width))
    return text.getvalue()


def test_nothing_is_less_than_nothing() -> None:
    assert [seconds(ns) for ns in (-1, -499_999, -500_001, 0)] == ["0.000", "0.000", "-0.001", "0.000"]
    assert [signed(ns) for ns in (-1, 0, -1_000_000)] == ["+0.000", "+0.000", "-0.001"]
    assert three_places(-0.0004) == "0.000"
    text = io.StringIO()
    Console(file=text, width=80).print(table(["number"], [[-0.0004], [-0.0], [-1.5]]))
    assert "-0.000" not in text.getvalue()
    assert "-1.500" in text.getvalue()


def test_a_cause_that_rounds_to_nothing_has_no_minus() -> None:
    ledger = kept("vllm")
    session = ledger.session("vllm warm")
    report = read_report(ledger, session)
    rounded = [cause.ns for row in report.claims.differing for cause in row.causes if -500_000 < cause.ns < 0]
    assert rounded, "the recording has such causes"
    text = io.StringIO()
    print_report(report, Console(file=text, width=200))
    assert "-0.000" not in text.getvalue()


def test_what_could_not_be_matched_is_counted_in_the_summary_and_not_listed() -> None:
    builder = SessionBuilder()
    builder.begin()
    builder.claim(SECOND, SECOND, source="monitor", stage="weights_load")
    builder.end(2 * SECOND)
    text = printed(builder)
    assert "0 of 1 reported times agree with the measured ones; 1 could not be matched to an interval" in text
    assert "No interval was recorded." in text
    assert "Reported and measured times" not in text


def test_no_line_is_wider_than_the_terminal() -> None:
    builder = SessionBuilder()
    builder.begin()
    for number in range(3):
        stage = builder.start(number * SECOND, "backend_compile", component="block " * 20, role="r" * 60)
        builder.stop((number + 1) * SECOND - 1, stage, "failed", "E" * 90)
    builder.end(9 * SECOND)
    assert max(map(len, printed(builder, width=80).splitlines())) <= 80


def test_a_table_that_stops_says_how_many_rows_there_are() -> None:
    builder = SessionBuilder()
    builder.begin()
    for number in range(19):
        at_ns = number * 10 * SECOND
        stage = builder.start(at_ns, "torch_compile", source="monitor", role="encoder")
        inner = builder.start(at_ns + SECOND, "dynamo", source="backend", role="encoder")
        builder.stop(at_ns + 2 * SECOND, inner, "failed", "E")
        builder.stop(at_ns + 3 * SECOND, stage)
        builder.claim(at_ns + 3 * SECOND, 9 * SECOND, source="monitor", interval=stage)
    builder.end(200 * SECOND)
    text = printed(builder)
    assert "Reported and measured times (10 of 19)" in text
    assert "Unattributed time (5 of 19)" in text
    assert "Failed stages (10 of 19)" in text
    assert "Totals by source\n" in "\n".join(line.rstrip() for line in text.splitlines())


def test_of_many_processes_a_hundred_are_shown_and_those_first_that_went_wrong() -> None:
    events = side_by_side(150)
    lost = [event for event in events if event.process != "process-000149" or event.kind != "process_left"]
    ledger, text = MemoryLedger(lost), io.StringIO()
    print_report(read_report(ledger, ledger.session()), Console(file=text, width=200), "sources", "processes")
    lines = text.getvalue().splitlines()
    assert [line.strip() for line in lines if " of 150)" in line] == [
        "Totals by source (100 of 150)", "Processes (100 of 150)",
    ]  # fmt: skip
    processes = lines[lines.index(next(line for line in lines if line.startswith("Processes"))) :]
    [first, second] = [line.split() for line in processes if "Worker" in line][:2]
    assert (first[0], first[2], second[0]) == ("Worker_149", "running", "Worker_0")


def test_causes_beyond_the_first_three_are_added_up() -> None:
    builder = SessionBuilder()
    builder.begin()
    whole = builder.start(0, "torch_compile", source="monitor", role="encoder")
    for number, name in enumerate(("dynamo", "cache_key", "graph_compile", "aot_save", "standalone_compile")):
        part = builder.start(number * SECOND, name, source="backend", activity="compile", role="encoder")
        builder.stop((number + 1) * SECOND, part)
    builder.stop(5 * SECOND, whole)
    builder.claim(5 * SECOND, 0, source="engine", counts="ranks", role="encoder", text="nothing")
    builder.end(6 * SECOND)
    assert "2 more: -2.000 s" in printed(builder, width=80)
    assert "2 more: -2.000 s" in printed(builder, width=1_000)


def test_what_vllm_says_comes_before_what_torch_says() -> None:
    start = gpu_events("tp2")["tp2-warm"]
    ledger = MemoryLedger(start)
    report = read_report(ledger, ledger.session())
    of_torch = [row.claim.source == "torch" for row in report.claims.differing]
    assert of_torch == sorted(of_torch)
    assert {True, False} == set(of_torch)
    sizes = [row.size_ns for row in report.claims.differing if row.claim.source == "torch"]
    assert sizes == sorted(sizes, reverse=True)
    by_process: dict[str, list[bool]] = {}
    for process, total in report.sources.rows:
        by_process.setdefault(process, []).append(total.source == "torch")
    assert all(is_torch == sorted(is_torch) for is_torch in by_process.values())
    assert list(by_process) == ["<file-1>", "EngineCore", "Worker_TP0", "Worker_TP1"]


def test_rows_of_several_processes_name_theirs() -> None:
    text = io.StringIO()
    ledger = MemoryLedger(gpu_events("tp2")["tp2-warm"])
    print_report(read_report(ledger, ledger.session()), Console(file=text, width=300))
    claims, unattributed = text.getvalue().split("Reported and measured times")[1].split("Unattributed time")
    assert re.search(r"Worker_TP0 +torch", claims)
    assert re.search(r"Worker_TP1 +torch", claims)
    assert re.search(r"Worker_TP1 +\(whole process\) +model_load", unattributed)
