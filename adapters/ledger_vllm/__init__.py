"""Records vLLM's start-up: its stages in all its processes, and what it says about its own time as claims.

Nothing is imported here: vLLM loads `ledger_vllm.plugin` as one of its general plugins, in each process.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
