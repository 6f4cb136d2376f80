"""Fixtures that all tests may use; what else they share is in `tests.support`."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ledger import Recorder
from ledger.recording.settings import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.processes import Spawn

# Examples that write files take as long as the disk lets them.
settings.register_profile("files", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("files")


@pytest.fixture(autouse=True)
def recording_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have recording on; the tests turn it on themselves."""
    for name in (FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger is to be."""
    return tmp_path / "startup.db"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Return a function that runs another one in a forked child and returns the child's pid.

    The child ends without exit handlers, with code 1 where the function raised.
    """
    children: list[int] = []

    def run(function: Callable[[], object]) -> int:
        sys.stdout.flush()
        if (pid := os.fork()) == 0:
            code = 1
            try:
                function()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children.append(pid)
        return pid

    yield run
    for pid in children:
        try:
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        except ChildProcessError:
            continue  # the test has waited for it


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may read; pytest's own are their user's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def recorder(path: Path) -> Iterator[Recorder]:
    recorder = Recorder.open(path, label="nightly")
    yield recorder
    recorder.close()
