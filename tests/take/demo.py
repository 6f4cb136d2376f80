"""Records what README and handbook show, and keeps it as tests/data/demo.jsonl: `make docs-record`.

Three sessions: the demo's cold and warm one, and one that is killed while it compiles.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.keeping import keep
from tests.support.paths import TESTS

KEPT = "demo.jsonl"
_KILLED_AFTER_S = "12"


def main() -> None:
    """Record, and write the events as lines."""
    command = str(Path(sys.executable).with_name("compile-ledger"))
    with tempfile.TemporaryDirectory() as name:
        ledger = Path(name) / "demo.db"
        subprocess.run([command, "demo", "-o", str(ledger)], check=True)
        killed = [
            "timeout",
            "-s",
            "KILL",
            _KILLED_AFTER_S,
            sys.executable,
            str(TESTS / "programs" / "killed.py"),
        ]
        cold = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(Path(name) / "cache")}
        record = [command, "record", "--quiet", "-o", str(ledger), "--label", "killed", "--"]
        subprocess.run([*record, *killed], check=False, env=cold)
        keep(ledger, KEPT)


if __name__ == "__main__":
    main()
