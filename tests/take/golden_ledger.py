"""Makes the golden ledger of the newest schema: `python -m tests.take.golden_ledger`.

Do so when SCHEMA_VERSION has been raised, and commit the file that it writes. The files of older versions
stay as they are, since their own code made them: by `python -m tests.take.golden_ledger FOLDER`, where FOLDER
has the sources of that version (`git worktree add FOLDER COMMIT`).
"""

import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from ledger.events.models import to_line
from tests.support.golden_ledgers import FOLDER, NO_EVENT, golden_events, golden_file
from tests.support.paths import ROOT


def main() -> None:
    """Write the golden ledger that the sources in a folder make, by default those of this checkout."""
    sources = Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT
    with tempfile.TemporaryDirectory() as name:
        ledger, journals = Path(name) / "golden.db", Path(name) / "journals"
        _write_journals(journals)
        path = os.pathsep.join(str(sources / room) for room in (".", "adapters", "migrations"))
        subprocess.run(
            [sys.executable, "-m", "ledger.cli", "collect", str(journals), "-o", str(ledger)],
            check=True,
            cwd=sources,
            env={**os.environ, "PYTHONPATH": path},
        )
        with closing(sqlite3.connect(ledger)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        FOLDER.mkdir(exist_ok=True)
        # Without a time inside, the same ledger is the same file.
        golden_file(version).write_bytes(gzip.compress(ledger.read_bytes(), mtime=0))
        print(f"{golden_file(version)}: schema {version}")


def _write_journals(folder: Path) -> None:
    """Write a journal for each process, as its recorder had; the first has a line that is no event."""
    journals: defaultdict[str, list[bytes]] = defaultdict(list)
    for event in golden_events():
        journals[event.process].append(to_line(event))
    next(iter(journals.values())).append(NO_EVENT)
    folder.mkdir()
    for process, lines in journals.items():
        (folder / f"{process}.jsonl").write_bytes(b"".join(lines))


if __name__ == "__main__":
    main()
