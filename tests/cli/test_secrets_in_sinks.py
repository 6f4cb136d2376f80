"""A key that a recorded command has is in nothing that comes of it; `--redact` leaves none of old ledgers."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile, is_zipfile

import pytest

from ledger import (
    GapNoted,
    Recorder,
    TotalClaimed,
)
from ledger.testing import SessionBuilder
from tests.support.small_ledgers import write_sessions
from tests.support.terminals import terminal
from tests.support.waiting import DEADLINE_S

CLI = [sys.executable, "-m", "ledger.cli"]
CANARIES = ("zq9wFlag", "zq9wAssigned", "zq9wVariable", "zq9wHeader", "sk-zq9wShape0123456789", "zq9wData")
PROGRAM = """
import sys
from ledger import Recorder
recorder = Recorder.from_environment()
data = {"api_key": "zq9wData", "note": "with sk-zq9wShape0123456789"}
with recorder.stage("load", role="encoder", data=data):
    pass
recorder.claim(1.5, source="monitor", role="encoder", text="--api-key zq9wFlag: took 1.50 s, zq9wVariable")
recorder.gap("noted", detail="Authorization: Bearer zq9wHeader")
recorder.hook_missing("a_hook", "HF_TOKEN=zq9wAssigned is not valid")
recorder.milestone("engine_ready")
sys.stdout.flush()
raise RuntimeError("401 for sk-zq9wShape0123456789 and zq9wVariable")
"""
ARGUMENTS = (
    "serve", "--api-key", "zq9wFlag", "--port", "80", "-e", "HF_TOKEN=zq9wAssigned", "-H",
    "Authorization: Bearer zq9wHeader", "sk-zq9wShape0123456789", "named zq9wVariable",
)  # fmt: skip
FORMATS = ("jsonl", "csv", "otlp", "perfetto", "chrome", "prometheus", "pytorch-benchmark", "datasette")
SINKS = {
    "report": ("report", "LEDGER"),
    "all of the report": ("report", "LEDGER", "--all"),
    "JSON": ("report", "LEDGER", "--json"),
    "page": ("report", "LEDGER", "--html", "OUT/page.html"),
    "flame graphs": ("report", "LEDGER", "--flame", "OUT/flame.json"),
    "events": ("sql", "LEDGER", "SELECT * FROM events"),
    "sessions": ("sql", "LEDGER", "SELECT * FROM sessions", "--json"),
    "claims": ("sql", "LEDGER", "SELECT * FROM claims", "--format", "csv"),
    "replay": ("replay", "LEDGER"),
    "replay as JSON": ("replay", "LEDGER", "--json"),
    "verify": ("verify", "LEDGER"),
    "watch": ("watch", "LEDGER"),
    **{one: ("export", "LEDGER", "--format", one, "-o", f"OUT/{one}") for one in FORMATS},
}


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CLI, *arguments],
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, **variables},
    )


def content_of(path: Path) -> bytes:
    """Return what a file holds, an archive's members unpacked."""
    if not is_zipfile(path):
        return path.read_bytes()
    with ZipFile(path) as archive:
        return b"".join(map(archive.read, archive.namelist()))


def found_in(content: bytes) -> list[str]:
    return [canary for canary in CANARIES if canary.encode() in content]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of a command with secrets everywhere, and nothing that was collected yet taken away."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "program.py").write_text(PROGRAM)
    ran = run(
        "record", "-o", str(folder / "startup.db"), "--", sys.executable, str(folder / "program.py"),
        *ARGUMENTS, WANDB_API_KEY="zq9wVariable",
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    assert b"--api-key" not in ran.stdout
    # What Python prints of an exception is the program's own.
    own = ran.stderr.split(b"RuntimeError")[-1].partition(b"\n")[2]
    assert found_in(own) == []
    return folder


@pytest.mark.parametrize("sink", SINKS)
def test_what_is_recorded_has_no_secret_in_any_sink(recorded: Path, tmp_path: Path, sink: str) -> None:
    arguments = [
        text.replace("LEDGER", str(recorded / "startup.db")).replace("OUT", str(tmp_path))
        for text in SINKS[sink]
    ]
    ran = run(*arguments)
    assert ran.returncode == 0, ran.stderr
    content = ran.stdout + ran.stderr + b"".join(map(content_of, tmp_path.glob("*")))
    assert len(content) > 20
    assert found_in(content) == []


def test_the_ledger_itself_has_none_and_the_rest_of_its_command(recorded: Path) -> None:
    assert found_in((recorded / "startup.db").read_bytes()) == []
    shown = run("sql", str(recorded / "startup.db"), "SELECT command FROM sessions", "--format", "csv").stdout
    for kept in (b"serve", b"--api-key", b"--port", b"80", b"HF_TOKEN=<secret>", b"program.py"):
        assert kept in shown


def test_a_journal_has_none_and_neither_has_what_is_seen_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "zq9wVariable")
    waiting = "import time\nwith recorder.stage('waits', role='encoder'):\n    time.sleep(60)\n"
    (tmp_path / "waits.py").write_text(PROGRAM.partition("sys.stdout")[0] + waiting)
    command = [*CLI, "record", "-o", str(tmp_path / "x.db"), "--", sys.executable, str(tmp_path / "waits.py")]
    with terminal([*command, *ARGUMENTS]) as shown:
        shown.wait_for("encoder")
        journals = b"".join(path.read_bytes() for path in tmp_path.glob("x.db.journal/*"))
        shown.process.terminate()
        shown.finish()
    assert found_in(journals) == []
    assert found_in(shown.view) == []


def test_variables_that_a_program_sets_later_are_known_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder.open(tmp_path / "x.db") as recorder:
        recorder.milestone("begun")
        monkeypatch.setenv("LATE_PASSWORD", "zq9wVariable")
        recorder.claim(1.0, source="user", text="took 1.0 s as zq9wVariable")
        monkeypatch.undo()
    from ledger import Ledger

    with Ledger.open(tmp_path / "x.db") as opened:
        assert [claim.text for claim in opened.timeline().claims] == ["took 1.0 s as <secret>"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of a version that hid nothing."""
    builder = SessionBuilder()
    builder.begin()
    builder.stop(5, builder.start(1, "load", role="encoder"))
    builder.milestone(6, "engine_ready")
    command = {"command": ("vllm", *ARGUMENTS), "environment": {"X_API_KEY": "zq9wVariable"}}
    changes = {"session_started": command, "stage_started": {"data": {"api_key": "zq9wData"}}}
    events = [one.model_copy(update=changes.get(one.kind, {})) for one in builder.events]
    key = {"session": events[0].session, "process": events[0].process, "at_ns": 9}
    seq = max(one.seq for one in events) + 1
    text = "--api-key zq9wFlag and zq9wVariable, zq9wHeader, zq9wAssigned: 1.50 s"
    builder.events[:] = [
        *events,
        TotalClaimed(**key, seq=seq, claim=seq, source="monitor", claimed_ns=5, text=text),
        GapNoted(**key, seq=seq + 1, what="noted", detail="with sk-zq9wShape0123456789, zq9wVariable"),
    ]
    return write_sessions(tmp_path_factory.mktemp("old") / "old.db", builder)


@pytest.mark.parametrize("form", [one for one in FORMATS if one != "datasette"])
def test_redact_leaves_none_of_an_older_ledger(old: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    ran = run("export", str(old), "--redact", "--format", form, "-o", str(out))
    assert ran.returncode == 0, ran.stderr
    assert found_in(content_of(out) + ran.stderr) == []


def test_what_is_made_of_a_redacted_ledger_has_none(old: Path, tmp_path: Path) -> None:
    run("export", str(old), "--redact", "-o", str(tmp_path / "x.jsonl"))
    assert run("import", str(tmp_path / "x.jsonl"), "-o", str(tmp_path / "new.db")).returncode == 0
    page = run("report", str(tmp_path / "new.db"), "--html", str(tmp_path / "page.html"))
    assert page.returncode == 0
    content = run("report", str(tmp_path / "new.db"), "--json").stdout + (tmp_path / "page.html").read_bytes()
    assert found_in(content) == []
    assert b"&lt;secret&gt;" in content or b"<secret>" in content


def test_a_log_is_imported_without_them(tmp_path: Path) -> None:
    from tests.support.paths import DATA

    log = (DATA / "logs" / "vllm-0.32.0-cpu-llama-cold.log").read_text()
    line = next(one for one in log.splitlines() if "torch.compile took" in one)
    planted = log.replace(line, f"{line} (HF_TOKEN=zq9wAssigned, sk-zq9wShape0123456789)")
    (tmp_path / "vllm.log").write_text(planted)
    assert run("import", str(tmp_path / "vllm.log"), "-o", str(tmp_path / "x.db")).returncode == 0
    assert found_in((tmp_path / "x.db").read_bytes()) == []
