"""Imports what torch itself prints of its compiles: TORCH_LOGS, compile_times(), CompilationMetrics.

Nothing is imported here: `compile-ledger import` loads `ledger_torch_log.importer`.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
