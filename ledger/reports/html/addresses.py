"""The part of a page's address that leads to an interval."""

from typing import Final
from urllib.parse import quote

_LONGEST: Final = 100


def target_of(process: str, interval: int) -> str:
    """Return the fragment of an address that marks an interval in the waterfall."""
    return f"interval={quote(address_of(process), safe='', errors='replace')}/{interval}"


def address_of(process: str) -> str:
    """Return what an address calls a process: its id, of which nobody makes longer ones."""
    return process[:_LONGEST]
