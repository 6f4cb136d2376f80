"""What importers of logs share: lines that may matter, stamps, wall clocks, the events of a process.

Nothing is imported here: `compile-ledger import` loads what it uses.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
