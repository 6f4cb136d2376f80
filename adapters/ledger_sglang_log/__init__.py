"""Imports logs of SGLang: its stages by stamp and stated duration, and each duration as a claim.

Nothing is imported here: `compile-ledger import` loads `ledger_sglang_log.importer`.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
