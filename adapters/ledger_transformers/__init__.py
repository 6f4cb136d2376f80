"""Records Hugging Face transformers: the load of a model, its compile in `generate`, its first token.

Nothing is imported here: torch loads `ledger_transformers.autoload` at the end of every `import torch`.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
