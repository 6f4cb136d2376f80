"""What a shell completes, asked as a shell asks: by the function that `--show-completion` prints."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.events.rows import to_row
from ledger.storage.ledger import Ledger
from ledger.storage.queries import saved_queries
from ledger.storage.store import Store
from ledger.testing import SessionBuilder

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="completion is asked as bash asks")

ASK = """
compile-ledger() { "$PYTHON" -m ledger.cli "$@"; }
env() { command env "${@:1:3}" "$PYTHON" -m ledger.cli; }
COMP_WORDS=("$@") COMP_CWORD=$(( $# - 1 ))
eval "$(compile-ledger --show-completion bash)"
_compile_ledger_completion compile-ledger
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    store = Store.open(folder / "runs.db")
    for session, label in (("20260101-a", "cold"), ("20260102-b", "warm"), ("20260103-c", "cold start")):
        builder = SessionBuilder(session)
        builder.begin(label=label)
        builder.end(3)
        with store.transaction():
            store.append(list(map(to_row, builder.events)))
    store.close()
    Ledger.open(folder / "runs.db").close()
    return folder


def completed(folder: Path, *words: str) -> set[str]:
    """Return what bash offers for the last word."""
    done = subprocess.run(
        [str(BASH), "-c", ASK, "bash", "compile-ledger", *words],
        capture_output=True, text=True, cwd=folder, env={**os.environ, "PYTHON": sys.executable}, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return set(filter(None, done.stdout.splitlines()))


def test_commands_and_options(folder: Path) -> None:
    assert completed(folder, "rep") == {"report", "replay"}
    assert completed(folder, "report", "--js") == {"--json"}


def test_saved_queries_by_name(folder: Path) -> None:
    assert completed(folder, "sql", "runs.db", "--query", "") == set(saved_queries())
    assert completed(folder, "sql", "runs.db", "-q", "recomp") == {"recompiles"}


def test_sessions_by_label_and_id_of_the_ledger_that_is_named(folder: Path) -> None:
    everything = {"cold", "warm", "cold start", "20260101-a", "20260102-b", "20260103-c"}
    assert completed(folder, "report", "runs.db", "--session", "") == everything
    assert completed(folder, "report", "runs.db", "-s", "20260102") == {"20260102-b"}
    assert completed(folder, "export", "runs.db", "--all", "--session", "co") == {"cold", "cold start"}
    assert completed(folder, "diff", "--ledger", "runs.db", "cold", "wa") == {"warm"}


def test_nothing_is_offered_where_there_is_no_ledger(folder: Path) -> None:
    (folder / "text.db").write_text("no ledger")
    sqlite3.connect(folder / "empty.db").close()
    for name in ("missing.db", "text.db", "empty.db", "."):
        assert completed(folder, "report", name, "--session", "") == set()
    assert not (folder / "missing.db").exists()


def test_formats_of_exports(folder: Path) -> None:
    assert {"jsonl", "perfetto", "chrome"} <= completed(folder, "export", "runs.db", "--format", "")


def test_it_can_be_installed(tmp_path: Path) -> None:
    script = '"$PYTHON" -m ledger.cli --install-completion bash; true'
    done = subprocess.run(
        [str(BASH), "-c", script],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHON": sys.executable, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert "bash completion installed" in done.stdout, done
    assert "_COMPILE_LEDGER_COMPLETE" in (tmp_path / ".bash_completions/compile-ledger.sh").read_text()
