"""Tables on the terminal: rows in, rich tables out. Names from events are no markup."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ledger.durations import three_places
from ledger.formatting import printable
from ledger.reports.table_rows import Column, RowsTable

NO_TERMINAL_WIDTH: Final = 1_000
"""Of what is printed to a file or a pipe: nothing is cut there, or wrapped."""
_BETWEEN: Final = 3
_EDGES: Final = 2
_NARROWEST: Final = 8


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    title: str | None = None,
    width: int | None = None,
) -> Table:
    """Return a table; a column of numbers, or of texts of numbers, is set flush right.

    In a `width` texts are cut, those of the widest columns first; without one they are folded where needed.
    """
    made = _empty(title)
    columns = list(map(printable, columns))
    texts = [_column([row[place] for row in rows]) for place in range(len(columns))]
    are_numbers = [all(map(_is_number, column)) for column in texts]
    widths: list[int | None] = [None] * len(columns)
    if width is not None:
        natural = [
            max(cell_len(text) for text in (name, *column))
            for name, column in zip(columns, texts, strict=True)
        ]
        widths = [*_fitted(natural, are_numbers, width - _EDGES - _BETWEEN * (len(columns) - 1))]
    for name, is_number, limit in zip(columns, are_numbers, widths, strict=True):
        made.add_column(
            Text(name),
            justify="right" if is_number else "left",
            overflow="fold" if limit is None else "ellipsis",
            no_wrap=limit is not None,
            width=limit,
        )
    for row in zip(*texts, strict=True):
        made.add_row(*map(Text, row))
    return made


def _fitted(widths: list[int], are_numbers: Sequence[bool], available: int) -> list[int]:
    """Return the widths of columns that fit: the widest texts give up what there is no room for."""
    widths = list(widths)
    while sum(widths) > available:
        shrinkable = [
            place for place, width in enumerate(widths) if not are_numbers[place] and width > _NARROWEST
        ]
        if not shrinkable:
            break
        widest = max(shrinkable, key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def table_of(rows: Sequence[Mapping[str, object]]) -> RowsTable:
    """Return the table of any number of dictionaries, at least one, that have the same keys."""
    columns = zip(*(row.values() for row in rows), strict=True)
    return RowsTable(
        _empty,
        [
            Column(printable(name), texts, "right" if all(map(_is_number, texts)) else "left")
            for name, texts in zip(rows[0], map(_column, columns), strict=True)
        ],
    )


def _empty(title: str | None = None) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)


def _column(values: Sequence[object]) -> list[str]:
    """Return a column as texts: NULL as nothing, and to the millisecond where there are fractions in it."""
    has_fractions = any(isinstance(value, float) for value in values)
    return [
        "" if value is None
        else three_places(value) if has_fractions and isinstance(value, (int, float))
        else printable(str(value))
        for value in values
    ]  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
