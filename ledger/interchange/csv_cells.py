"""Values as cells of CSV that a spreadsheet shows, and does not run."""

import math
from typing import Final

from ledger.formatting import printable

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                   "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
"""What a spreadsheet takes for the beginning of a formula."""
_TEXT: Final = "'"
"""What makes a text of it: spreadsheets do not show it."""


def cell(value: object) -> object:
    """Return a value as a cell of CSV: bytes as hexadecimal digits, and no text that would be a formula."""
    if isinstance(value, bytes):
        return value.hex()
    if not isinstance(value, str):
        return value
    text = printable(value.replace("\r\n", "\n"))
    return _TEXT + text if value.startswith(_FORMULA) and not _is_number(value) else text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and text.isascii() and not text[:1].isspace()
    except ValueError:
        return False
