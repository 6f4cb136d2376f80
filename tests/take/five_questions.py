"""Records five starts, each of which answers a question, and keeps them as tests/data/questions.

`python -m tests.take.five_questions [QUESTION …]` makes all of them, or some, and takes ten minutes. That of
what an engine says and what it was is a start on an NVIDIA H200, and stays in tests/data/gpu.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.support.keeping import keep_compressed
from tests.support.paths import TESTS
from tests.support.questions import FOLDER
from tests.vllm import environment, models, starting

WORKERS: Final = "4"


def main() -> None:
    """Record what each question is about, and write the events as lines."""
    FOLDER.mkdir(exist_ok=True)
    for question in sys.argv[1:] or TAKEN:
        with tempfile.TemporaryDirectory() as name:
            ledger = Path(name) / "ledger.db"
            sessions = TAKEN[question](ledger)
            keep_compressed(ledger, f"{FOLDER.name}/{question}", sessions)


def record_cold(ledger: Path) -> slice:
    """Start vLLM twice with one cache folder; for the second one a variable of the key is set."""
    model = models.write_text_model(ledger.with_name("model"))
    cache, python = ledger.with_name("cache"), environment.python()
    for label, changed in (("first start", {}), ("second start", {"VLLM_ENGINE_READY_TIMEOUT_S": "1200"})):
        started = starting.run(python, model, cache, ledger=ledger, label=label, **changed)
        assert started.exit_code == 0, started.output[-2000:]
    return slice(None)


def record_recompiles(ledger: Path) -> slice:
    """Train twice with one cache folder; the second one is kept."""
    for _ in range(2):
        _record(ledger, "train.py", TORCHINDUCTOR_CACHE_DIR=str(ledger.with_name("cache")))
    return slice(-1, None)


def record_imports(ledger: Path) -> slice:
    """Fit a plane."""
    _record(ledger, "fit.py")
    return slice(None)


def record_slow_rank(ledger: Path) -> slice:
    """Load shards on four workers, the last of which has more."""
    _record(
        ledger,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        WORKERS,
        "shards.py",
        GLOO_SOCKET_IFNAME="lo",
    )
    return slice(None)


def _record(ledger: Path, *arguments: str, **variables: str) -> None:
    """Record a program of ours, which is named as somebody would name it who is in its folder."""
    folder = str(Path(sys.executable).parent)
    command = ["compile-ledger", "record", "--quiet", "-o", str(ledger), "--", "python", *arguments]
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, check=True, cwd=TESTS / "programs", env={**os.environ, "PATH": path, **variables})


TAKEN: Final[Mapping[str, Callable[[Path], slice]]] = {
    "cold": record_cold,
    "recompiles": record_recompiles,
    "imports": record_imports,
    "slow_rank": record_slow_rank,
}


if __name__ == "__main__":
    main()
