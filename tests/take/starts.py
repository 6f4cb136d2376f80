"""Records starts that are equal but for the cache, and keeps them as tests/data/starts.

`python -m tests.take.starts` takes about ten minutes. A cold start has a cache folder of its own; the warm
ones share one. The cold ones are spread among them, so that whatever else the machine does meets both.
"""

import gzip
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.keeping import keep
from tests.support.paths import TESTS
from tests.support.starts import FOLDER

PROGRAM = TESTS / "programs" / "start.py"
_COLD = 6
_WARM_PER_COLD = 4


def main() -> None:
    """Record, one start after the other, and write the events of each kind as lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for round_ in range(_COLD):
            _record(folder, "cold", folder / f"cache{round_}")
            for _ in range(_WARM_PER_COLD):
                _record(folder, "warm", folder / "cache0")
        for label in ("cold", "warm"):
            _compress(folder, label)


def _record(folder: Path, label: str, cache: Path) -> None:
    command = [str(Path(sys.executable).with_name("compile-ledger")), "record", "--quiet"]
    subprocess.run(
        [*command, "-o", str(folder / f"{label}.db"), "--label", label, "--", sys.executable, str(PROGRAM)],
        check=True, env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache)},
    )  # fmt: skip


def _compress(folder: Path, label: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    keep(folder / f"{label}.db", f"starts/{label}.jsonl")
    plain = FOLDER / f"{label}.jsonl"
    # Without a time inside, the same lines are the same file.
    (FOLDER / f"{label}.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    plain.unlink()


if __name__ == "__main__":
    main()
