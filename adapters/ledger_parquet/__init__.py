"""Keeps sessions of many machines as Parquet files in one folder, a lake, and reads them from there.

`Lake.open` is the reading side. The layout of the folder is in `lake_files`.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from ledger_parquet.lake import Lake, LakeSession

__all__ = ["Lake", "LakeSession"]
