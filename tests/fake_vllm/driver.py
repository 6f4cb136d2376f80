"""Runs programs that use the fake vLLM as people use vLLM, and reads back what was recorded of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ledger import Event, GapNoted, Ledger, ProcessJoined, TotalClaimed
from tests.support.collecting import collected

FAKE = Path(__file__).parent

PROGRAM = """
import sys
from fake_work import FAULTS
from vllm.config import CompilationConfig, CompilationMode, ParallelConfig, VllmConfig
from vllm.entrypoints.llm import LLM
from vllm.plugins import load_general_plugins

def main():
{body}

if __name__ == "__main__":
    main()
"""

STATES_TIME = re.compile(r".*\b(took|takes|time:|finished in|cache in) .*\d ?(s|secs|seconds)\b.*")
"""A line of vLLM's log that states a duration."""


class Recording:
    """What a program printed, and what is in its ledger; by default a ledger in which nothing is odd."""

    def __init__(self, done: "subprocess.CompletedProcess[str]", path: Path, is_clean: bool) -> None:
        self.printed = done.stdout
        self.logged = done.stderr.splitlines()
        if is_clean:
            collected(path)
        with Ledger.open(path) as ledger:
            self.processes = {str(row["name"]): row for row in ledger.sql("SELECT * FROM processes")}
            # What Python does before and between is recorded as well, and tested in tests/birth.
            rows = ledger.sql("SELECT * FROM intervals WHERE source <> 'python' ORDER BY start_ns, start_seq")
            self.role_totals = ledger.sql("SELECT * FROM role_totals")
            self.milestones = ledger.sql("SELECT * FROM milestones ORDER BY at_ns")
            self.anomalies = ledger.sql("SELECT * FROM anomalies")
            self.events: list[Event] = list(ledger.events())
        self.intervals: list[Any] = [
            SimpleNamespace(**{**row, "data": json.loads(str(row["data"] or "{}"))}) for row in rows
        ]
        self.claims = [event for event in self.events if isinstance(event, TotalClaimed)]
        self.gaps = [event for event in self.events if isinstance(event, GapNoted)]
        self.joined = {event.name: event for event in self.events if isinstance(event, ProcessJoined)}

    def of(self, stage: str, component: str | None = None, **data: object) -> list[Any]:
        """The intervals of a stage, in order: of a component, and with certain data, where that is said."""
        return [
            interval
            for interval in self.intervals
            if interval.stage == stage
            and component in (None, interval.component)
            and data.items() <= interval.data.items()
        ]

    def one(self, stage: str, component: str | None = None, **data: object) -> Any:
        """The only interval of a stage."""
        [interval] = self.of(stage, component, **data)
        return interval

    def named_by(self, claim: TotalClaimed) -> list[Any]:
        """The intervals that a claim says it speaks of."""
        ids = (claim.data or {}).get("intervals", [] if claim.interval is None else [claim.interval])
        return [i for i in self.intervals if i.process == claim.process and i.interval in ids]

    def lines(self) -> list[TotalClaimed]:
        """The claims that were read from log lines."""
        return [claim for claim in self.claims if "logger" in (claim.data or {})]

    def additions(self, source: str | None = None) -> list[TotalClaimed]:
        """The claims of what was added to an accumulator."""
        return [c for c in self.claims if c.counts == "addition" and source in (None, c.source)]

    def tree(self, component: str | None) -> list[tuple[str, str | None]]:
        """The stages of a component, each with the one that is its parent."""
        stages = {(i.process, i.interval): i.stage for i in self.intervals}
        return [
            (i.stage, stages.get((i.process, i.parent))) for i in self.intervals if i.component == component
        ]


def run(
    folder: Path,
    body: str,
    *,
    version: str = "0.32.0",
    ledger: str | None = "startup.db",
    script: str = "program.py",
    **environment: str,
) -> "subprocess.CompletedProcess[str]":
    """Run a program whose cache and ledger are in a folder; recording is off where `ledger` is None."""
    program = folder / script
    program.write_text(PROGRAM.format(body="\n".join(f"    {line}" for line in body.splitlines())))
    ours = {"FAKE_VLLM_VERSION": version, "VLLM_CACHE_ROOT": str(folder / "cache")}
    ours["PYTHONPATH"] = os.pathsep.join(filter(None, (str(FAKE), os.environ.get("PYTHONPATH"))))
    ours["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if ledger is not None:
        ours["COMPILE_LEDGER"] = str(folder / ledger)
    others = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "COMPILE_LEDGER", "FAKE_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        env={**others, **ours, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def record(folder: Path, body: str, *, is_clean: bool = True, **options: Any) -> Recording:
    """Run a program and return what was recorded."""
    done = run(folder, body, **options)
    return Recording(done, folder / options.get("ledger", "startup.db"), is_clean)
