"""What commands write appears when all of it is there, and harms nobody else's files."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.cli.console.output_files import replacing
from ledger.errors import LedgerError, LedgerNotWritable
from ledger.testing import SessionBuilder
from tests.support.processes import Spawn, as_nobody, exit_code, needs_root
from tests.support.small_ledgers import write_sessions


def anything(final: Path) -> None:
    assert final.is_absolute()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ledger.cli", *arguments]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    builder = SessionBuilder()
    builder.begin()
    builder.stop(2, builder.start(1, "dynamo"))
    builder.end(3)
    return write_sessions(tmp_path / "startup.db", builder)


def test_two_writers_of_one_file_do_not_touch_what_the_other_has_begun(tmp_path: Path) -> None:
    file = tmp_path / "out"
    with replacing(file, anything) as first, replacing(file, anything) as second:
        first.write(b"first")
        second.write(b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_where_it_fails_there_is_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), replacing(file, anything) as opened:
        opened.write(b"after" * (1 // 0))
    assert [(one, one.read_bytes()) for one in tmp_path.iterdir()] == [(file, b"before")]


def test_who_may_read_a_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"before")
    file.chmod(0o600)
    with replacing(file, anything) as opened:
        opened.write(b"after")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"after", 0o600)


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_whose_a_file_is_stays(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"before")
    os.chown(file, 12_345, 23_456)
    file.chmod(mode)
    with replacing(file, anything) as opened:
        opened.write(b"after")
    there = file.stat()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (12_345, 23_456, mode)


@needs_root
def test_a_group_that_can_not_be_given_a_file_is_not_replaced_by_another(
    public_folder: Path, spawn: Spawn
) -> None:
    file = public_folder / "out"
    file.write_bytes(b"before")
    os.chown(file, 12_345, 23_456)
    file.chmod(0o640)
    public_folder.chmod(0o777)

    def write() -> None:
        as_nobody()
        with replacing(file, anything) as opened:
            opened.write(b"after")

    assert exit_code(spawn(write)) == 0
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"after", 0o600)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_takes_a_part_alone_is_an_error(ledger: Path, unbuffered: str) -> None:
    limited = (
        "import resource, signal, sys; from ledger.cli import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)); sys.argv = sys.argv[1:]; main()"
    )
    arguments = ["compile-ledger", "report", str(ledger), "--html", "-"]
    with open(ledger.with_name("page"), "wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", limited, *arguments], stdout=out, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered}, check=False,
        )  # fmt: skip
    assert done.returncode == 2, done
    assert "standard output: can't be written (File too large)" in done.stderr


def test_a_link_stays_a_link_and_one_to_nowhere_is_said(tmp_path: Path) -> None:
    link, nowhere = tmp_path / "link", tmp_path / "nowhere"
    link.symlink_to("target")
    nowhere.symlink_to("no/target")
    with replacing(link, anything) as opened:
        opened.write(b"after")
    assert (tmp_path / "target").read_bytes() == link.read_bytes() == b"after"
    assert link.is_symlink()
    with pytest.raises(LedgerError, match=f"nowhere: no such folder: {tmp_path / 'no'}$"):
        replacing(nowhere, anything).__enter__()


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    file = tmp_path / ("x" * 255)
    with replacing(file, anything) as opened:
        opened.write(b"x")
    assert file.read_bytes() == b"x"


def test_a_full_device_is_said_in_one_line() -> None:
    with (
        pytest.raises(LedgerNotWritable, match="/dev/full: can't be written \\(No space"),
        replacing(Path("/dev/full"), anything) as opened,
    ):
        opened.write(b"x" * 100_000)


@pytest.mark.parametrize("written", [["export", "--format", "perfetto"], ["report", "--flame", "-"]])
def test_standard_output_that_takes_nothing_is_said_in_one_line(ledger: Path, written: list[str]) -> None:
    name, *options = written
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(name, str(ledger), *options), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output: can't be written (No space left on device)" in done.stderr
    closed = subprocess.run(
        [sys.executable, "-c", "import os, sys; os.close(1); os.execv(sys.executable, sys.argv[1:])",
         *command(name, str(ledger), *options)],
        stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (
        2,
        "compile-ledger: standard output is closed; name a file\n",
    )


def test_pictures_go_to_standard_output_without_a_word_among_them(ledger: Path) -> None:
    shown = subprocess.run(
        command("report", str(ledger), "--flame", "-"), capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("{")
    assert shown.stdout.endswith("}")
    assert shown.stderr.count("\n") == 1
    assert not os.path.exists("-")
