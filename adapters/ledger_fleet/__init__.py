"""Answers questions over a lake with an engine that people run already: DuckDB, ClickHouse or Spark.

A module each; what they need of a lake is in `lake_tables`, and what a query names is defined by them alone.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""
