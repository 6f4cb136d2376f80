"""Disks that are full, may only be read, or fail, as real mounts: the kernel does what the shim injects."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Ledger, Recorder
from tests.support.golden_ledgers import unpacked
from tests.support.large_session import write_large_session
from tests.support.paths import ROOT

_OLD_SCHEMA = 1
_MORE_THAN_IT_KEEPS = 4_000
"""Events of a process."""


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


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that takes what is written, and then learns that the disk below can't keep it (EIO)."""
    below, folder = tmp_path / "below", tmp_path / "failing"
    for made in (below, folder):
        made.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(below)):
        pytest.skip("nothing may be mounted here")
    image = below / "image"
    with image.open("wb") as file:
        file.truncate(32 << 20)  # of which the megabyte below keeps a part
    is_made = (
        shutil.which("mkfs.ext4") is not None
        and not subprocess.run(
            ["mkfs.ext4", "-q", "-O", "^has_journal", "-b", "1024", str(image)],
            capture_output=True,
            check=False,
        ).returncode
    )
    is_mounted = is_made and mount("-o", "loop,errors=continue", str(image), str(folder))
    try:
        if not is_mounted:
            pytest.skip("no file can be mounted here")
        yield folder
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        subprocess.run(["umount", "-l", str(below)], check=True)


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


def test_what_a_failing_disk_did_not_keep_is_still_in_the_journals(
    failing_disk: Path, tmp_path: Path
) -> None:
    write_large_session(tmp_path / "large.db", processes=2, events=_MORE_THAN_IT_KEEPS)
    journals = tmp_path / "large.db.journal"
    before = {journal.name: journal.read_bytes() for journal in journals.iterdir()}
    ran = command("collect", str(journals), "-o", str(failing_disk / "all.db"))
    assert ran.returncode == 2
    assert "the system could not read or write it (sqlite_ioerr" in ran.stderr
    assert "Traceback" not in ran.stderr
    ran = command("report", str(failing_disk / "all.db"))
    assert ran.returncode in (0, 2)
    assert "Traceback" not in ran.stderr
    left = {journal.name: journal.read_bytes() for journal in journals.iterdir()}
    assert {name: left.get(name) for name in before} == before
    ran = command("collect", str(journals), "-o", str(tmp_path / "all.db"))
    events = sum(text.count(b"\n") for text in before.values())
    assert (ran.returncode, f"{events} new events" in ran.stdout) == (0, True), ran.stdout
