"""What is built is what the repository has, and it stands alone."""

import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = {
    "ledger": "ledger",
    "ledger_birth": "adapters/ledger_birth",
    "ledger_datasette": "adapters/ledger_datasette",
    "ledger_engine": "adapters/ledger_engine",
    "ledger_fleet": "adapters/ledger_fleet",
    "ledger_log_containers": "adapters/ledger_log_containers",
    "ledger_log_lines": "adapters/ledger_log_lines",
    "ledger_otlp": "adapters/ledger_otlp",
    "ledger_parquet": "adapters/ledger_parquet",
    "ledger_perfetto": "adapters/ledger_perfetto",
    "ledger_prometheus": "adapters/ledger_prometheus",
    "ledger_pytest": "adapters/ledger_pytest",
    "ledger_pytorch_benchmark": "adapters/ledger_pytorch_benchmark",
    "ledger_sglang_log": "adapters/ledger_sglang_log",
    "ledger_torch": "adapters/ledger_torch",
    "ledger_torch_log": "adapters/ledger_torch_log",
    "ledger_torch_trace": "adapters/ledger_torch_trace",
    "ledger_transformers": "adapters/ledger_transformers",
    "ledger_triton": "adapters/ledger_triton",
    "ledger_vllm": "adapters/ledger_vllm",
    "ledger_vllm_bench": "adapters/ledger_vllm_bench",
    "ledger_vllm_log": "adapters/ledger_vllm_log",
    "ledger_migrations": "migrations/ledger_migrations",
}


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{package}/{file.relative_to(ROOT / folder)}"
        for package, folder in PACKAGES.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    # Where `site` looks for it, instead of in its package.
    expected = expected - {"ledger_birth/compile_ledger_birth.pth"} | {"compile_ledger_birth.pth"}
    assert names == expected
    assert "ledger/py.typed" in names


def test_the_tops_of_the_repository_are_no_packages() -> None:
    assert not (ROOT / "adapters" / "__init__.py").exists()
    assert not (ROOT / "migrations" / "__init__.py").exists()


def test_pytest_is_told_not_to_rewrite_any_package() -> None:
    # It would all of them, as those of a plugin, and warns of what a program has imported before.
    for package in PACKAGES:
        assert "PYTEST_DONT_REWRITE" in str(import_module(package).__doc__)


def test_no_module_is_longer_than_400_lines() -> None:
    modules = [file for folder in PACKAGES.values() for file in (ROOT / folder).rglob("*.py")]
    assert modules
    assert [file.name for file in modules if len(file.read_text().splitlines()) > 400] == []


def test_sqlite_utils_runs_the_migrations_file_alone(tmp_path: Path) -> None:
    ledger = tmp_path / "new.db"
    migrations = ROOT / PACKAGES["ledger_migrations"] / "migrations.py"
    subprocess.run(
        [sys.executable, "-m", "sqlite_utils", "migrate", str(ledger), str(migrations)],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "ledger.cli", "verify", str(ledger)],
        check=True,
        capture_output=True,
        cwd=tmp_path,
    )
