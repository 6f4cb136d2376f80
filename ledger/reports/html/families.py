"""Sorts stages into the few families that colours tell apart on a page."""

from typing import Final

from ledger.vocabulary import IMPORT, WAITING

FAMILIES: Final = ("import", "load", "compile", "warmup", "capture", "startup", "waiting", "other")
"""Their colours are in `page.css`: `--family-import` and so on."""
TITLES: Final = {
    "import": "imports",
    "load": "loading",
    "compile": "compiling",
    "warmup": "warming up",
    "capture": "capturing graphs",
    "startup": "starting up",
    "waiting": "waiting",
    "other": "other",
}
_OF_STAGE: Final = {IMPORT: "import", "interpreter_start": "import", WAITING: "waiting"}


def family_of(stage: str, activity: str) -> str:
    """Return the family of a stage."""
    family = _OF_STAGE.get(stage, activity)
    return family if family in TITLES else "other"
