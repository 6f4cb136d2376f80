"""Programs that record from their birth on: an environment with the start-up hook, and what they left."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger import Event, Ledger
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.journals import events_in
from tests.support.paths import ROOT

HOOK = ROOT / "adapters" / "ledger_birth" / "compile_ledger_birth.pth"
HANGS_AFTER_S = 120
"""A deadline against hanging, which nothing is timed by."""


def environment_with_hook(folder: Path) -> Path:
    """Make an environment that has all that this one has, and the start-up hook; return its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    own = {str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib")}
    paths = [
        path for path in sys.path if Path(path).is_dir() and path not in own and "lib-dynload" not in path
    ]
    (packages / "a_paths.pth").write_text("".join(f"{path}\n" for path in paths))
    shutil.copy(HOOK, packages)
    return python


@dataclass(frozen=True)
class Program:
    """Programs that run in a folder of their own, with recording on or off."""

    python: Path
    folder: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "startup.db"

    def file(self, name: str, text: str) -> Path:
        """Write a file that the program may need."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python), *arguments]

    def environment(self, *, recording: bool, **more: str) -> dict[str, str]:
        hidden = (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE, "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        # What is compiled in the first run would be there in the second.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return {**environment, **({FILE_VARIABLE: str(self.ledger)} if recording else {}), **more}

    def run(self, *arguments: str, recording: bool = True, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run Python with these arguments, in the folder."""
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment(recording=recording, **more),
            capture_output=True, text=True, timeout=HANGS_AFTER_S, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def events(self) -> list[Event]:
        """Return what lies in the journals, each journal's events in their order."""
        return events_in(self.ledger)

    def processes(self) -> dict[str, dict[str, Any]]:
        """Collect, and return the processes by name; nothing may be missing or odd."""
        with Ledger.open(self.ledger) as ledger:
            assert ledger.sql("SELECT * FROM rejected_lines") == []
            assert ledger.sql("SELECT * FROM anomalies") == []
            rows = ledger.sql("SELECT * FROM processes")
            assert {row["lost_events"] for row in rows} <= {0}
        return {str(row["name"]): dict(row) for row in rows}

    def intervals(self, stage: str = "import") -> dict[str | None, dict[str, Any]]:
        """Collect, and return the intervals of a stage by component, the last of several."""
        with Ledger.open(self.ledger) as ledger:
            rows = ledger.sql("SELECT * FROM intervals WHERE stage = ? ORDER BY start_ns", [stage])
        return {row["component"]: dict(row) for row in rows}
