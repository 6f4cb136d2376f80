"""Fixtures that all tests may use; what else they share is in `tests.support`."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import ledger
from ledger import Recorder
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.processes import Spawn

# Examples that write files take as long as the disk lets them.
settings.register_profile("files", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("files")


TESTED_IN = "COMPILE_LEDGER_TESTED_IN"
"""The environment variable that names the folder which the tested package has to be imported from."""


def pytest_sessionstart() -> None:
    """Refuse to test the checkout where the built wheel is to be tested."""
    folder, file = os.environ.get(TESTED_IN), ledger.__file__
    if folder and not Path(file).is_relative_to(folder):
        raise pytest.UsageError(f"ledger is imported from {file}, and not from {TESTED_IN}={folder}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, under pytest-xdist, the tests of a module that share a fixture: it is then made once."""
    for item in items:
        if _shares_a_fixture(item):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _shares_a_fixture(item: pytest.Item) -> bool:
    definitions: dict[str, Sequence[Any]] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    of_this_suite = [one for name in definitions for one in definitions[name] if one.baseid]
    return any(one.scope in ("module", "package", "session") for one in of_this_suite)


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
