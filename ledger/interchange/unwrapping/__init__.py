"""Takes a log out of what it was sent and kept in, before anybody reads its lines: one part for each service.

`files` reads bytes, compressed or not, as text; `layers` takes one container after the other off its lines;
`parts` writes what is left to a file for each service, the oldest line first.
"""

from ledger.interchange.unwrapping.lines import ENTRY_POINTS, LogLine, Unwrapper, normal_stamp
from ledger.interchange.unwrapping.parts import Part, unwrapped, without_stamps

__all__ = ["ENTRY_POINTS", "LogLine", "Part", "Unwrapper", "normal_stamp", "unwrapped", "without_stamps"]
