"""Reads what torch writes under TORCH_TRACE: compile stages as intervals, CompilationMetrics as claims.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""

from ledger_torch_trace.importer import TorchTraceImporter, importer

__all__ = ["TorchTraceImporter", "importer"]
