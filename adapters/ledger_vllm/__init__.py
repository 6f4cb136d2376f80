"""Records vLLM's start-up: its stages in all its processes, and its own statements about time as claims.

Nothing is imported here: vLLM loads `ledger_vllm.plugin` as one of its general plugins, in each process.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
