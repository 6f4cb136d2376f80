"""Reads what torch writes under TORCH_TRACE: compile stages as intervals, CompilationMetrics as claims."""

from ledger_torch_trace.importer import TorchTraceImporter, importer

__all__ = ["TorchTraceImporter", "importer"]
