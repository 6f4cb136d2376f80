"""Runs every benchmark, each in a process of its own, and appends the results to the history: `make bench`.

`history.jsonl` has one line a run:

    commit    as `git describe --always --dirty` has it
    date      when the run began, ISO 8601, UTC
    machine   cores, cpu (its model's name), load (the one-minute average when the run began), python, torch
    rounds    the most rounds that a measurement was the best of, where BENCH_ROUNDS limited them; else null
    note      $BENCH_NOTE: what one should know to read the numbers; else null
    results   by benchmark, its figures and goals in the order in which they were printed: name, measured,
              unit and, of a goal, limit. A ratio stands beside the figures that it is the ratio of.

Numbers of two machines, or of two loads, don't compare; ratios do, roughly.
"""

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from measuring import read_back

HERE: Final = Path(__file__).parent
HISTORY: Final = HERE / "history.jsonl"


def main() -> None:
    """Run all, or those that are named; only a run of all of them that succeeded goes into the history."""
    named = sys.argv[1:]
    entry: dict[str, Any] = {
        "commit": _commit(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": _machine(),
        "rounds": int(os.environ["BENCH_ROUNDS"]) if "BENCH_ROUNDS" in os.environ else None,
        "note": os.environ.get("BENCH_NOTE"),
        "results": {},
    }
    for benchmark in sorted(HERE.glob("bench_*.py")):
        if not named or benchmark.stem in named:
            entry["results"][benchmark.stem] = _results(benchmark)
    if not named:
        with HISTORY.open("a", encoding="utf-8") as history:
            history.write(json.dumps(entry) + "\n")


def _results(benchmark: Path) -> list[dict[str, Any]]:
    ran = subprocess.Popen([sys.executable, str(benchmark)], stdout=subprocess.PIPE, text=True)
    assert ran.stdout is not None
    found: list[dict[str, Any]] = []
    for line in ran.stdout:
        print(line, end="", flush=True)
        if (result := read_back(line)) is not None:
            found.append(asdict(result))
    if ran.wait():
        raise SystemExit(f"{benchmark.name} failed; nothing was added to the history")
    return found


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout.strip()


def _machine() -> dict[str, Any]:
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model.group(1) if model else platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
    }


if __name__ == "__main__":
    main()
