"""Takes off a line what terminals, copies and containers put around what a program wrote."""

import re
from typing import Final

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])?")
"""Of terminals: colours above all, also the links and the highlighting of other tools."""
# "**" is Markdown's; two levels of a path have one star between them at most.
_BOLD: Final = "**"
FRAME: Final = " \t\r\n|`>\u00a0" + "".join(map(chr, range(0x2500, 0x2580)))
"""What copies put around a line: box-drawing characters, a table's bars, a quotation's marks."""
CONTAINER_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z? ")
"""What is in front of a line where its container said when it was written."""

# What a container's log has in front of a line: nanoseconds, or a zone.
_CONTAINERS: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{9}|(?:[.,]\d{1,9})?(?=Z|[+-]\d\d:?\d\d))(?:Z|[+-]\d\d:?\d\d)? "
)


def plain(text: str) -> str:
    """Return a line without what terminals and copies add to it."""
    return _ESCAPES.sub("", text).replace(_BOLD, "").replace("\u00a0", " ").strip(FRAME)


def without_container_stamp(text: str) -> str:
    """Return a plain line without what its container says of when it was written."""
    stamp = CONTAINER_STAMP.match(text)
    return text if stamp is None else text[stamp.end() :]


def end_of_any_stamp(text: str) -> int:
    """Return where the stamp of a container ends that a text begins with, in any form; 0 if there is none."""
    stamp = _CONTAINERS.match(text)
    return 0 if stamp is None else stamp.end()
