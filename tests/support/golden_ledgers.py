"""The golden ledgers: one small ledger for each version of the schema, made by that version's own code."""

import gzip
from pathlib import Path
from typing import Final

from ledger.events.models import (
    Event,
    GapNoted,
    MilestoneReached,
    SessionEnded,
    SessionStarted,
    TotalClaimed,
)
from tests.support.paths import DATA
from tests.support.random_sessions import SECOND, Tape

FOLDER: Final = DATA / "ledgers"
WALL_NS: Final = 1_700_000_000 * SECOND
NO_EVENT: Final = b'{"session":"nightly","process":"engine","seq":-1,"kind":"milestone_reached"}\n'
"""A line that is kept in `rejected_lines`."""


def golden_file(schema: int) -> Path:
    """Return where the golden ledger of a schema's version is."""
    return FOLDER / f"schema-{schema}.db.gz"


def unpacked(schema: int, path: Path) -> Path:
    """Write the golden ledger of a schema's version to a path."""
    path.write_bytes(gzip.decompress(golden_file(schema).read_bytes()))
    return path


def golden_events() -> list[Event]:
    """Two sessions: one of two processes that has of everything something, and one that never ended.

    The golden ledgers have exactly these events. Where they are changed, all of them must be made anew.
    """
    return [*_nightly(), *_killed()]


def _nightly() -> list[Event]:
    tape = Tape("engine", session="nightly")
    versions = {"python": "3.12.4", "torch": "2.8.0", "vllm": "0.11.0"}
    command = ["vllm", "serve", "m"]
    tape.add(SessionStarted, 0, label="nightly", command=command, versions=versions, wall_ns=WALL_NS)
    same_clock = {"host": "node", "boot_id": "b", "time_namespace": "t", "pid_namespace": "n"}
    tape.join(1, name="EngineCore", pid=100, wall_ns=WALL_NS + 1, hooks=["vllm.engine"], **same_clock)
    tape.start(1, 2 * SECOND, "engine_init", "engine", thread="MainThread")
    tape.add(MilestoneReached, 3 * SECOND, name="command_started")
    tape.start(2, 4 * SECOND, "torch_compile", "monitor", role="encoder", component="Block", parent=1)
    tape.start(3, 5 * SECOND, "dynamo", data={"compile_id": "0/0"}, parent=2)
    tape.stop(3, 7 * SECOND, data={"cache": "miss", "compile_id": "0/0"})
    tape.span(4, 7 * SECOND, 9 * SECOND, stage="backend_compile", source="backend", role="encoder")
    tape.stop(2, 10 * SECOND)
    claim: dict[str, object] = {"source": "monitor", "role": "encoder", "stage": "torch_compile"}
    tape.add(TotalClaimed, 10 * SECOND, claim=1, claimed_ns=6_500_000_000, interval=2, text="6.5 s", **claim)
    total: dict[str, object] = {"counts": "total", "source": "monitor", "role": "encoder"}
    tape.add(TotalClaimed, 11 * SECOND, claim=2, claimed_ns=9 * SECOND, data={"adds_up": [1]}, **total)
    tape.start(5, 12 * SECOND, "graph_capture", "engine")
    tape.stop(5, 13 * SECOND, outcome="failed", error="RuntimeError")
    tape.stop(5, 14 * SECOND)  # a second stop: an anomaly
    tape.stop(99, 14 * SECOND)  # of nothing: an anomaly
    tape.add(GapNoted, 15 * SECOND, what="missing_hook", count=2, detail="vllm.v1.engine")
    tape.stop(1, 20 * SECOND)
    tape.add(MilestoneReached, 20 * SECOND, name="engine_ready")
    _worker(tape, {**same_clock, "rank": 1, "pid": 101, "parent_pid": 100})
    tape.add(SessionEnded, 21 * SECOND, outcome="completed")
    tape.leave(22 * SECOND, event_count=len([e for e in tape.events if e.process == "engine"]) + 1)
    return tape.events


def _worker(tape: Tape, identity: dict[str, object]) -> None:
    """A process that starts late, says of itself what it ran with, and is lost with a stage open."""
    worker = {"process": "worker"}
    versions = {"python": "3.12.4", "torch": "2.8.1", "transformers": "4.55"}
    tape.add(SessionStarted, 6 * SECOND, versions=versions, wall_ns=WALL_NS + 6 * SECOND, **worker)
    tape.join(6 * SECOND, name="Worker_TP1", wall_ns=WALL_NS + 6 * SECOND, **identity, **worker)
    tape.start(1, 7 * SECOND, "weights_load", "engine", role="language_model", **worker)
    tape.stop(1, 9 * SECOND, **worker)
    tape.span(2, 9 * SECOND, 12 * SECOND, stage="dynamo", source="torch", **worker)
    tape.start(3, 13 * SECOND, "graph_compile", "backend", role="language_model", **worker)
    tape.lose(13 * SECOND, "worker", 6)


def _killed() -> list[Event]:
    """A session without `session_started`, as an imported log's are, with a stage that is open."""
    tape = Tape("log", session="killed")
    tape.join(0, name="EngineCore")
    tape.span(1, SECOND, 2 * SECOND, stage="model_load", source="log")
    tape.start(2, 3 * SECOND, "warmup", "log")
    return tape.events
