"""The public API as its users write it: run by tests/test_public_api.py, and type-checked in strict mode."""

import asyncio
from pathlib import Path

from ledger import (
    Budget,
    Event,
    InvalidEvent,
    Ledger,
    Recorder,
    Timeline,
    check_budget,
    parse_event,
    reduce,
)
from ledger.testing import FakeClock, MemoryLedger, SessionBuilder
from ledger_pytest import CompileLedger


def record(path: Path) -> None:
    """Record stages, a claim and a milestone at times that a fake clock gives."""
    clock = FakeClock()
    recorder = Recorder.open(path, label="nightly", clock=clock)

    @recorder.stage("weights_load", source="engine")
    def load() -> int:
        return clock.advance(5)

    @recorder.stage("warmup", role="language_model", source="engine")
    async def warm_up() -> int:
        return clock.advance(7)

    load()
    with recorder.stage(
        "torch_compile",
        role="encoder",
        source="monitor",
        component="Qwen2_5_VisionBlock",
        data={"range": "(1, 2048)"},
    ):
        clock.advance(10)
    with recorder.role("drafter"):
        interval = recorder.start("graph_compile", source="backend")
        clock.advance(3)
        recorder.stop(interval)
    asyncio.run(warm_up())
    recorder.claim(16.77, source="monitor", role="encoder", text="torch.compile took 16.77 s in total")
    recorder.milestone("engine_ready")
    recorder.close()


def read(path: Path) -> tuple[Timeline, list[dict[str, object]], int]:
    """Read the newest session back: reduced, as rows, and as a data frame's length."""
    with Ledger.open(path) as ledger:
        timeline = ledger.timeline()
        rows = ledger.sql("SELECT role, activity, total_ns FROM role_totals ORDER BY total_ns")
        frame = ledger.dataframe("SELECT * FROM intervals WHERE role = :role", {"role": "encoder"})
        assert ledger.polars("SELECT * FROM intervals").height == len(timeline.intervals)
        assert ledger.breakdown() == timeline.startup_breakdown
        assert ledger.compilations("nightly") == timeline.compilations
        assert reduce(ledger.events("nightly")) == timeline
        return timeline, rows, len(frame)


def build() -> list[Event]:
    """Build a session by hand, and look at it in memory."""
    builder = SessionBuilder()
    builder.begin(label="by hand")
    outer = builder.start(0, "torch_compile", role="encoder", source="monitor")
    inner = builder.start(2, "dynamo", source="backend", parent=outer)
    builder.stop(5, inner)
    builder.stop(10, outer)
    builder.claim(10, 11, source="monitor", role="encoder", interval=outer)
    builder.end(12)
    with MemoryLedger(builder.events) as ledger:
        assert ledger.sql("SELECT total_ns FROM role_totals") == [{"total_ns": 10}]
    return builder.events


def refuse() -> str:
    """Return what is said of an event that is none."""
    try:
        parse_event(
            {"kind": "stage_stopped", "session": "s", "process": "p", "seq": -1, "at_ns": 0, "interval": 0}
        )
    except InvalidEvent as error:
        return str(error)
    raise AssertionError("not refused")


def hold(path: Path) -> list[str]:
    """Hold a budget against the newest session, and say what is broken."""
    budget = Budget.from_mapping({"total": [{"role": "encoder", "activity": "compile", "at_most": "9 ns"}]})
    with Ledger.open(path) as ledger:
        return [verdict.sentence for verdict in check_budget(ledger, budget).broken]


def assert_in_a_test(compile_ledger: CompileLedger) -> None:
    """Use the fixture, as a test does."""
    with compile_ledger.recorder.stage("warmup", role="encoder"):
        pass
    assert [total.role for total in compile_ledger.timeline.role_totals] == ["encoder"]
    compile_ledger.assert_within({"total": [{"role": "encoder", "at_most": "1 min"}]})
