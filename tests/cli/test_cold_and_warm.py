"""The order of a bench's starts, and its cache folders."""

import os
from pathlib import Path

import pytest

from ledger.cli.cold_and_warm import CacheFolders, planned_starts
from ledger.errors import LedgerNotWritable


@pytest.mark.parametrize(
    ("cold", "warm", "labels"),
    [
        (3, 3, "cold-1 warm-1 cold-2 warm-2 cold-3 warm-3"),
        (1, 3, "cold-1 warm-1 warm-2 warm-3"),
        (2, 3, "cold-1 warm-1 warm-2 cold-2 warm-3"),
        (3, 1, "cold-1 warm-1 cold-2 cold-3"),
    ],
)
def test_warm_starts_come_in_turns_and_each_has_a_cold_one_before_it(
    cold: int, warm: int, labels: str
) -> None:
    starts = planned_starts(cold, warm)
    assert " ".join(start.label for start in starts) == labels
    assert [start.is_cold for start in starts] == [start.label.startswith("cold") for start in starts]


def test_each_cold_start_has_new_folders_and_none_is_left(path: Path) -> None:
    with CacheFolders(path) as caches:
        caches.renew()
        first = caches.environment()
        assert set(first) >= {"TORCHINDUCTOR_CACHE_DIR", "VLLM_CACHE_ROOT"}
        assert all(Path(folder).is_dir() for folder in first.values())
        assert len(set(first.values())) == len(first)
        assert caches.environment() == first
        caches.renew()
        assert not any(os.path.exists(folder) for folder in first.values())
        assert all(os.listdir(folder) == [] for folder in caches.environment().values())
    assert os.listdir(path.parent) == []


def test_kernels_are_kept_by_the_variable_that_leaves_what_is_cached_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    with CacheFolders(path) as caches:
        assert {"TRITON_HOME", "TRITON_CACHE_DIR"} & set(caches.environment()) == {"TRITON_HOME"}
        monkeypatch.setenv("TRITON_CACHE_DIR", "/home/somebody/.triton")
        assert {"TRITON_HOME", "TRITON_CACHE_DIR"} & set(caches.environment()) == {"TRITON_CACHE_DIR"}
        assert "/home/somebody/.triton" not in caches.environment().values()


def test_a_folder_that_does_not_exist_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LedgerNotWritable, match="choose another place with -o"):
        CacheFolders(tmp_path / "no such folder" / "bench.db").__enter__()
