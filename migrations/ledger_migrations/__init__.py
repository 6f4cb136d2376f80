"""The ledger's schema, version by version; `migrations.py` is what sqlite-utils finds and runs.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
