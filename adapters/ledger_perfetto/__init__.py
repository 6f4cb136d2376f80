"""Exports a session as a trace that ui.perfetto.dev opens: Perfetto's own format, and Chrome's JSON.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
