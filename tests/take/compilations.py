"""Records what torch compiles in many ways, as tests/data/compilations.jsonl: part of `make docs-record`.

One session of tests/programs/compilations.py: graph breaks, recompiles, errors, backward, caches, and a graph
compiled ahead of time.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.keeping import keep
from tests.support.paths import TESTS

KEPT = "compilations.jsonl"


def main() -> None:
    """Record, and write the events as lines."""
    command = str(Path(sys.executable).with_name("compile-ledger"))
    with tempfile.TemporaryDirectory() as name:
        ledger = Path(name) / "compilations.db"
        cold = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(name) / "cache")}
        record = [command, "record", "--quiet", "-o", str(ledger), "--label", "many compiles", "--"]
        program = [sys.executable, str(TESTS / "programs" / "compilations.py")]
        subprocess.run([*record, *program], check=True, env=cold)
        keep(ledger, KEPT)


if __name__ == "__main__":
    main()
