"""Draws the rows of a table itself, where rich takes a millisecond for a row of six cells.

A query may have thousands of rows, and rich measures, wraps and styles each cell several times. Here each
column is measured once, rich draws the head and says how wide the columns are, and a text that fits is
padded. What comes is what rich prints of such a table.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_EDGE: Final = " "
_BETWEEN: Final = "   "


class Column(NamedTuple):
    """A column of a table: its name and its texts."""

    name: str
    texts: Sequence[str]
    justify: Literal["left", "right"]


class RowsTable:
    """A table to print with rich, whose rows have no styles. A text that is too wide is folded."""

    def __init__(self, empty: Callable[[], Table], columns: Sequence[Column]) -> None:
        """`empty` makes a table without columns, whose box draws spaces around and between cells."""
        self._empty: Final = empty
        self._columns: Final = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the table."""
        measured = [_MeasuredColumn(column.texts) for column in self._columns]
        *head, row, bottom = console.render_lines(self._of_rich([measured]), options, pad=False)
        widths = [column.width for column in measured]
        drawn = len(_line(" " * width for width in widths))
        if not all(widths) or drawn != Segment.get_line_length(row):
            # There is no room for all columns: rich decides what is left out.
            texts = zip(*(column.texts for column in self._columns), strict=True)
            yield self._of_rich(map(Text, row) for row in texts)
            return
        for line in head:
            yield from line
            yield Segment.line()
        for line in self._lines(console, widths):
            yield Segment(line)
            yield Segment.line()
        yield from bottom
        yield Segment.line()

    def _of_rich(self, rows: Iterable[Iterable[RenderableType]]) -> Table:
        made = self._empty()
        for column in self._columns:
            made.add_column(Text(column.name), justify=column.justify, overflow="fold")
        for row in rows:
            made.add_row(*row)
        return made

    def _lines(self, console: Console, widths: Sequence[int]) -> Iterator[str]:
        blanks = [" " * width for width in widths]
        drawn = [
            [_cell(console, text, width, column.justify) for text in column.texts]
            for column, width in zip(self._columns, widths, strict=True)
        ]
        for cells in zip(*drawn, strict=True):
            for line in zip_longest(*cells):
                yield _line(blank if text is None else text for text, blank in zip(line, blanks, strict=True))


class _MeasuredColumn:
    """Stands for all texts of a column in the one row that rich draws, and learns how wide they may be."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts: Final = texts
        self.width = 0

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        measured = [_measure(text) for text in set(self._texts)]
        return Measurement(max(least for least, _ in measured), max(most for _, most in measured))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.width = options.max_width
        yield Segment(" " * self.width)


def _measure(text: str) -> tuple[int, int]:
    """Return how wide a text is with each word, and with each line, on a line of its own."""
    lines = text.splitlines()
    most = max(map(cell_len, lines), default=0)
    return max(map(cell_len, text.split()), default=most), most


def _line(texts: Iterable[str]) -> str:
    return f"{_EDGE}{_BETWEEN.join(texts)}{_EDGE}"


def _cell(console: Console, text: str, width: int, justify: Literal["left", "right"]) -> Sequence[str]:
    """Return the lines of a cell, each as wide as the column."""
    if text.isascii() and text.isprintable() and len(text) <= width:
        return (text.ljust(width) if justify == "left" else text.rstrip().rjust(width),)
    lines = Text(text).wrap(console, width, justify=justify, overflow="fold")
    return [set_cell_size(line.plain, width) for line in lines]
