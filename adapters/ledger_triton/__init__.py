"""Records Triton: each kernel that it compiles or loads from its cache, and what makes it ready to run.

Nothing is imported here: torch loads `ledger_triton.autoload` at the end of every `import torch`.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
