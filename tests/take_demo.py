"""Records what the README shows, and keeps it as tests/data/demo.jsonl: `make readme`.

Three sessions: the demo's cold and warm one, and one that is killed while it compiles. What the texts say of
this machine (its folders, its host name) is blotted out.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ledger import Ledger
from ledger.events import to_line

TESTS = Path(__file__).parent
KEPT = TESTS / "data" / "demo.jsonl"
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
        with Ledger.open(ledger) as opened:
            lines = b"".join(
                to_line(event) for session in opened.sessions() for event in opened.events(session)
            )
    blots = {
        name: "/tmp/demo",
        str(Path(sys.executable).parent): "/usr/bin",
        str(TESTS.parent): "/src",
        str(Path.home()): "/home/me",
        f'"host":"{socket.gethostname()}"': '"host":"demo"',
    }
    for text, blot in blots.items():
        lines = lines.replace(text.encode(), blot.encode())
    KEPT.write_bytes(lines)


if __name__ == "__main__":
    main()
