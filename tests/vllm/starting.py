"""Starts a real vLLM with and without recording, for tests and measurements."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

START = Path(__file__).with_name("start.py")
TIMEOUT_S = 900


@dataclass(frozen=True)
class Started:
    """A start-up that is over."""

    ledger: Path
    exit_code: int
    output: str
    """Standard output and standard error, as they came."""
    seconds: float


def command(
    python: Path, model: Path, *arguments: str, record_to: Path | None = None, label: str | None = None
) -> list[str]:
    """Return the command line of a start, recorded or not."""
    start = [str(python), str(START), str(model), *arguments]
    if record_to is None:
        return start
    record = [str(python.with_name("compile-ledger")), "record", "--quiet", "--output", str(record_to)]
    return [*record, *(["--label", label] if label else []), "--", *start]


def environment(cache: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a start whose caches are all below `cache`; an empty one makes it cold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPILE_LEDGER")}
    return {
        **kept,
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "VLLM_NO_USAGE_STATS": "1",
        **variables,
    }


def run(
    python: Path,
    model: Path,
    cache: Path,
    *arguments: str,
    ledger: Path,
    is_recorded: bool = True,
    label: str | None = None,
    **variables: str,
) -> Started:
    """Start vLLM once and wait until it is over."""
    began = time.monotonic()
    ran = subprocess.run(
        command(python, model, *arguments, record_to=ledger if is_recorded else None, label=label),
        env=environment(cache, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    return Started(ledger, ran.returncode, ran.stdout, time.monotonic() - began)
