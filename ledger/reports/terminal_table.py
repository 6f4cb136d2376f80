"""Tables on the terminal: rows in, rich tables out. Names from events are no markup."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from ledger.durations import three_places


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> Table:
    """Return a table; a column of numbers, or of texts of numbers, is set flush right."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    cells: list[list[Text]] = []
    for place, column in enumerate(columns):
        values = [row[place] for row in rows]
        texts = _column(values)
        made.add_column(
            Text(column), justify="right" if all(map(_is_number, texts)) else "left", overflow="fold"
        )
        cells.append([Text(text) for text in texts])
    for row in zip(*cells, strict=True):
        made.add_row(*row)
    return made


def table_of(rows: Sequence[Mapping[str, object]], title: str | None = None) -> Table:
    """Return a table of dictionaries that have the same keys."""
    columns = list(rows[0]) if rows else []
    return table(columns, [list(row.values()) for row in rows], title)


def _column(values: Sequence[object]) -> list[str]:
    """Return a column as texts: NULL as nothing, and to the millisecond where there are fractions in it."""
    has_fractions = any(isinstance(value, float) for value in values)
    return [
        "" if value is None
        else three_places(value) if has_fractions and isinstance(value, (int, float))
        else str(value)
        for value in values
    ]  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
