"""Records starts of two ranks, before and after a change, and keeps them as notebooks/many_starts.db.

`python -m tests.take.many_starts` takes up to ten minutes. The starts before and after take turns, and each
goes first as often as the other, so that whatever else the machine does meets both. Other starts have other
numbers: then `make notebooks`, and read whether its sentences still say what its pictures show.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.paths import TESTS
from tests.take.notebooks import FOLDER, write_ledger

PROGRAM = TESTS / "programs" / "many_ranks.py"
KEPT = FOLDER / "many_starts.db"
COMMANDS = {
    "before": [sys.executable, str(PROGRAM)],
    "after": [sys.executable, str(PROGRAM), "--with-pass"],
}
_ROUNDS = 12


def main() -> None:
    """Start each once, so that what can be cached is cached; then record, and write the ledger."""
    compile_ledger = str(Path(sys.executable).with_name("compile-ledger"))
    with tempfile.TemporaryDirectory() as name:
        ledger, lines = Path(name) / "starts.db", Path(name) / "starts.jsonl"
        # Compiling in a pool of processes, torch would not say what it did there.
        settings = {
            "TORCHINDUCTOR_CACHE_DIR": str(Path(name) / "cache"),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
        environment = {**os.environ, **settings}
        for command in COMMANDS.values():
            subprocess.run(command, check=True, env=environment)
        for number in range(_ROUNDS):
            for label in sorted(COMMANDS, reverse=number % 2 == 0):
                record = [compile_ledger, "record", "--quiet", "-o", str(ledger), "--label", label, "--"]
                subprocess.run([*record, *COMMANDS[label]], check=True, env=environment)
        subprocess.run(
            [compile_ledger, "export", str(ledger), "--all", "--redact", "-o", str(lines)], check=True
        )
        write_ledger(lines, KEPT)


if __name__ == "__main__":
    main()
