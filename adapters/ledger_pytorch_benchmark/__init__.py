"""Exports what starts took as records for the PyTorch OSS benchmark database.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
