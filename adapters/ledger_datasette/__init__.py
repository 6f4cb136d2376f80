"""Exports what makes Datasette show a ledger so that a person can read it.

PYTEST_DONT_REWRITE: else pytest warns, where a program imports this before it runs pytest.
"""

from ledger_datasette.exporter import MetadataExporter, exporter

__all__ = ["MetadataExporter", "exporter"]
