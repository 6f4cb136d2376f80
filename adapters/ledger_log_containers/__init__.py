"""Takes logs out of what they are sent, kept and copied in: each form is an unwrapper, found by entry point.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
