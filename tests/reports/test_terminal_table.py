"""Tables of a query's rows look like all others, however many rows they have."""

import io

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import RenderableType

from ledger.cli.console.terminal import TerminalConsole
from ledger.reports.terminal_table import table, table_of

ODD = "\n\t\x1b\N{LATIN SMALL LETTER E WITH ACUTE}\u65e5\N{SNOWMAN}\u0301\u200d\u00a0\u3000\N{THUMBS UP SIGN}"
TEXTS = st.text(st.sampled_from(f"aab  1.{ODD}"), max_size=12)
VALUES = st.one_of(st.none(), st.integers(-(10**12), 10**12), st.floats(-1e6, 1e6), st.booleans(), TEXTS)
ROWS = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), min_size=1, max_size=6)
)


def shown(renderable: RenderableType, width: int) -> str:
    file = io.StringIO()
    TerminalConsole(file=file, width=width, force_terminal=True, color_system="standard").print(renderable)
    return file.getvalue()


@given(ROWS, st.integers(1, 120))
@settings(deadline=None)
@example([["x" * 30, 1.5, "two\nlines"], ["some words of a text", 2, None]], 20)
@example([["1 ", 2]], 80)
def test_rows_are_drawn_as_rich_draws_them(rows: list[list[object]], width: int) -> None:
    names = [f"column {place}" for place in range(len(rows[0]))]
    of_rich = shown(table(names, rows), width)
    assert shown(table_of([dict(zip(names, row, strict=True)) for row in rows]), width) == of_rich
