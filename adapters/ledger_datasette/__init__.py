"""Exports Datasette metadata, with which a ledger is readable in a browser.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from ledger_datasette.exporter import MetadataExporter, exporter

__all__ = ["MetadataExporter", "exporter"]
