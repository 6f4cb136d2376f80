"""Small HTML tables, as objects show themselves in a notebook."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

_LONGEST_TEXT: Final = 200
_BAR_WIDTH: Final = 20
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_RIGHT: Final = '<td style="text-align: right">'


class Bar(NamedTuple):
    """A cell with a bar. It is text: where a notebook's styles are stripped, as on GitHub, it still shows."""

    share: float
    """Of the longest bar, from 0 to 1."""


class Figure(NamedTuple):
    """A cell whose text stands on the right, as numbers do."""

    text: str


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML. Texts are escaped and cut, None is empty, and numbers stand on the right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f"<table><caption>{_text(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def html_line(text: str, *, is_strong: bool = False) -> str:
    """Return a line of text as HTML."""
    return f"<div><strong>{_text(text)}</strong></div>" if is_strong else f"<div>{_text(text)}</div>"


def _cell(value: object) -> str:
    if isinstance(value, Bar):
        return (
            f'<td style="text-align: left; white-space: pre" aria-hidden="true">{_blocks(value.share)}</td>'
        )
    if isinstance(value, Figure):
        return f"{_RIGHT}{_text(value.text)}</td>"
    if isinstance(value, float):
        return f"{_RIGHT}{value:,.3f}</td>"
    if isinstance(value, int):
        return f"{_RIGHT}{value:,}</td>"
    return f"<td>{'' if value is None else _text(str(value))}</td>"


def _text(text: str) -> str:
    return escape(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…")


def _blocks(share: float) -> str:
    # A bar of no length would say that something took no time.
    eighths = max(1, round(share * _BAR_WIDTH * 8)) if share > 0 else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + _EIGHTHS[rest].strip()
