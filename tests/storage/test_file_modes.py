"""Who may read what is written: journals their user alone, a ledger whoever the umask lets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Recorder
from ledger.recording.journal import journal_folder
from tests.support.journals import one_journal


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_wider_than_it_has_to_be(path: Path, umask: int) -> None:
    recorder = Recorder.open(path)
    recorder.milestone("m")
    assert mode(one_journal(path)) == 0o600
    recorder.close()
    assert not journal_folder(path).exists()
    assert mode(path) == 0o644 & ~umask
