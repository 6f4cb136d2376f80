"""Exports what a start took as metrics, in Prometheus' text format for node_exporter's textfile collector.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
