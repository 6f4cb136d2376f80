"""Disks that are full or may only be read, as real mounts: what the shim injects, the kernel does here."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Ledger, Recorder
from tests.support.golden_ledgers import unpacked
from tests.support.paths import ROOT

_OLD_SCHEMA = 1


def mount(*arguments: str) -> bool:
    """Return whether a mount was allowed."""
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)):
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def is_full(disk: Path) -> bool:
    return os.statvfs(disk).f_bavail == 0


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ledger.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_ledger_on_a_disk_that_may_only_be_read_can_be_read(disk: Path) -> None:
    ledger = disk / "startup.db"
    with Recorder.open(ledger) as recorder, recorder.stage("dynamo"):
        recorder.milestone("m")
    Ledger.open(ledger).close()
    assert mount("-o", "remount,ro", str(disk))
    ran = command("report", str(ledger))
    assert ran.returncode == 0, ran.stderr
    ran = command("export", str(ledger), "--format", "jsonl", "-o", str(disk / "out.jsonl"))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Read-only file system" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_to_record_on_a_disk_that_may_only_be_read_warns_and_harms_nobody(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert mount("-o", "remount,ro", str(disk))
    with Recorder.open(disk / "startup.db") as recorder, recorder.stage("dynamo"):
        recorder.milestone("m")
    assert "Read-only file system" in caplog.text


def test_what_a_full_disk_did_not_take_is_counted(disk: Path) -> None:
    ledger = disk / "startup.db"
    recorder = Recorder.open(ledger)
    recorder.milestone("first")
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file:
        while not is_full(disk):
            file.write(bytes(1 << 12))
    for number in range(200):
        recorder.milestone(f"milestone {number}")
    filling.unlink()
    recorder.milestone("last")
    recorder.close()
    with Ledger.open(ledger) as opened:
        names = {str(row["name"]) for row in opened.sql("SELECT name FROM milestones")}
        [row] = opened.sql("SELECT sum(count) AS counted FROM gaps WHERE what = 'events_not_written'")
    assert {"first", "last"} <= names
    assert len(names) + int(str(row["counted"])) == 202


def test_an_old_ledger_on_a_disk_that_may_only_be_read_says_what_to_do(disk: Path) -> None:
    unpacked(_OLD_SCHEMA, disk / "old.db")
    assert mount("-o", "remount,ro", str(disk))
    ran = command("migrate", str(disk / "old.db"))
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "old.db" in ran.stderr
