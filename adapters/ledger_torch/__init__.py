"""Records torch.compile: its own begins and ends as intervals, its CompilationMetrics as claims.

Nothing is imported here: `ledger_torch.autoload` is loaded at the end of every `import torch`.
"""
