"""Reads what torch writes under TORCH_TRACE: compile stages as intervals, CompilationMetrics as claims.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from ledger_torch_trace.importer import TorchTraceImporter, importer

__all__ = ["TorchTraceImporter", "importer"]
