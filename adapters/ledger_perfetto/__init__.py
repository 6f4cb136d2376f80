"""Exports a session as a trace that ui.perfetto.dev opens: Perfetto's own format, and Chrome's JSON.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""
