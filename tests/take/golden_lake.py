"""Keeps a lake of the present format, and its rows: `python -m tests.take.golden_lake`."""

import gzip
import json
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from ledger.events.rows import to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger_parquet.manifest import LAKE_FORMAT
from tests.support.golden_ledgers import golden_events
from tests.support.lakes import exported, lake_rows
from tests.support.paths import DATA


def main() -> None:
    """Write both."""
    lake = DATA / "lakes" / f"format-{LAKE_FORMAT}"
    shutil.rmtree(lake, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.db"
        with closing(Store.open(path)) as store:
            with store.transaction():
                store.append(list(map(to_row, golden_events())))
            bring_up_to_date(store)
        exported(path, lake)
    shutil.rmtree(lake / "_staging")
    text = json.dumps(lake_rows(lake)).encode()
    lake.with_name(f"{lake.name}.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main()
