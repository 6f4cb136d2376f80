"""Writes the rows of a query as CSV or JSON, one after another, for other programs to read."""

import base64
import csv
import io
import json
from collections.abc import Iterable, Mapping

from ledger.cli.console.terminal import echo_bare


def print_csv(rows: Iterable[Mapping[str, object]]) -> None:
    """Print rows as CSV with a head. Texts that a spreadsheet would run as formulas begin with `'`."""
    from ledger.interchange.csv_cells import cell  # what `report` need not import

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for number, row in enumerate(rows):
        if not number:
            writer.writerow(map(cell, row))
        writer.writerow(map(cell, row.values()))
        echo_bare(text.getvalue())
        text.seek(0)
        text.truncate()


def print_json_rows(rows: Iterable[Mapping[str, object]]) -> None:
    """Print rows as a JSON list of objects, as `json.dumps` with an indent of 2 does."""
    first = True
    for row in rows:
        text = json.dumps(dict(row), indent=2, default=plain_value).replace("\n", "\n  ")
        echo_bare(("[\n  " if first else ",\n  ") + text)
        first = False
    echo_bare("[]\n" if first else "\n]\n")


def plain_value(value: object) -> object:
    """Return what JSON has no form for: bytes as sqlite-utils and Datasette write them."""
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} has no form in JSON")
