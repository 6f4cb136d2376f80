"""Each kept recording of real starts on H200s imports whole: all sessions, all events, and no fault."""

import gzip
from contextlib import closing
from pathlib import Path

import pytest

from ledger import Ledger
from ledger.interchange.importers import Imported, import_into, importer_of
from ledger.storage.store import Store
from ledger.storage.verification import verify
from tests.support.gpu_starts import FOLDER, FROM_BIRTH, gpu_lines, gpu_objects

RECORDINGS = {
    "llama": ["llama-cold", "llama-warm", "llama-warm-2"],
    "vl": ["vl-cold", "vl-warm"],
    "big": ["big-cold", "big-warm"],
    "serve": ["serve-cold", "serve-warm"],
    "tp2": ["tp2-cold", "tp2-warm"],
    "dp2": ["dp2-serve-cold"],
    "killed": ["big-killed-engine", "big-killed-all"],
    "tp2killed": ["tp2-worker-killed"],
    "fails": ["fails-memory", "fails-length", "fails-kv-cache"],
    "triton-plain": ["plain-cold", "plain-warm-1", "plain-warm-2"],
    "v1": ["v1-runner-cold", "v1-runner-warm"],
    **{name: [name] for name in FROM_BIRTH},
}
"""The starts of each recording, the oldest first."""


def test_each_kept_recording_is_listed() -> None:
    assert RECORDINGS.keys() == {file.name.removesuffix(".jsonl.gz") for file in FOLDER.glob("*.jsonl.gz")}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_imports_whole(name: str, path: Path, tmp_path: Path) -> None:
    """All its starts, with the projections that their events give, and no line left aside."""
    whole = tmp_path / "recording.jsonl"
    whole.write_bytes(gzip.decompress((FOLDER / f"{name}.jsonl.gz").read_bytes()))
    imported = imported_into(path, whole)
    assert (imported.unread, imported.duplicates, imported.conflicting) == (0, 0, 0)
    assert imported.events == len(gpu_lines(name))
    with Ledger.open(path) as ledger:
        rows = ledger.sql("SELECT label FROM sessions ORDER BY started_at")
        assert [row["label"] for row in rows] == RECORDINGS[name] == list(gpu_objects(name))
    assert verify(path) == []
    again = imported_into(path, whole)
    assert (again.events, again.duplicates) == (0, imported.events)


def imported_into(path: Path, file: Path) -> Imported:
    with closing(Store.open(path)) as store:
        return import_into(store, file, importer_of(file), lambda _: None)
