"""The one way to the terminal: what comes from a ledger can neither move its cursor nor give it orders.

Names, labels and paths are others' texts, and a terminal obeys what is in them: escape sequences that set its
title, fill its clipboard or draw over what was printed, characters that turn the direction of writing. All
that commands print goes through here, where each such character becomes a visible one.
"""

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from ledger.formatting import one_line, printable


class TerminalConsole(Console):
    """A console on which only its own styles are escape sequences, whatever is in the texts."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object to segments, in whose texts nothing is left that a terminal acts upon."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def print_line(text: str, *, stderr: bool = True) -> None:
    """Print a text as one line, however long, and whatever names are in it."""
    TerminalConsole(stderr=stderr, soft_wrap=True).print(Text(one_line(text)))


def echo_bare(text: str) -> None:
    """Print a text in which nothing is left that a terminal would act upon, without a line end of its own."""
    typer.echo(text, nl=False)


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text as it is, but for what a terminal would act upon."""
    typer.echo(printable(text), err=err, nl=nl)
