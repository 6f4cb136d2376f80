"""Imports what `vllm bench startup` reports, printed or as JSON: each number of seconds as a claim.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from ledger_vllm_bench.importer import BenchImporter, importer

__all__ = ["BenchImporter", "importer"]
