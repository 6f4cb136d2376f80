"""What the tests of recording from the birth of a process share."""

from pathlib import Path

import pytest

from tests.support.births import Program, environment_with_hook


@pytest.fixture(scope="session")
def python_with_hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with_hook(tmp_path_factory.mktemp("hooked") / "venv")


@pytest.fixture
def program(python_with_hook: Path, tmp_path: Path) -> Program:
    return Program(python_with_hook, tmp_path)
