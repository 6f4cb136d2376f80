"""Takes a line of torch's logger apart: process, stamp, compile and message, as 2.0 and later write them."""

import re
from typing import Final, NamedTuple

from ledger_log_lines.stamps import Calendar

_ID: Final = r"(?:\[(?P<id>!?\d{1,9}(?:/\d{1,9}){1,2}(?:_\d{1,9})?)\] )?"
_HEAD: Final = re.compile(
    # From 2.3 on, in the manner of glog.
    r"(?:\[rank(?P<rank>\d{1,6})\]:)?[VDIWEC](?P<month>\d\d)(?P<day>\d\d) (?P<time>\d\d:\d\d:\d\d)\."
    rf"(?P<us>\d{{6}}) (?P<pid>\d{{1,18}}) (?P<place>\S{{1,400}}:\d{{1,7}})\] ?{_ID}"
    r"(?:\[__\w{1,40}\] ?)?(?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_OLD_HEAD: Final = re.compile(
    r"(?:\[rank(?P<rank>\d{1,6})\]:)?\[(?P<date>\d{4}-(?P<month>\d\d)-(?P<day>\d\d)) "
    rf"(?P<time>\d\d:\d\d:\d\d),(?P<ms>\d{{3}})\] {_ID}"
    r"(?P<place>torch[\w.]{0,200}): \[[A-Z]{1,9}\] (?P<message>.*)",
    re.DOTALL | re.ASCII,
)
_STEP: Final = re.compile(r"Step [123]: torch|Step 2: (?:calling|done) |TorchDynamo compilation metrics")


class Record(NamedTuple):
    """What torch's logger was given, and what it put around that."""

    rank: int | None
    pid: int | None
    """None before 2.3."""
    stamp: str
    at_ns: int | None
    """None where there is no such time as the stamp says."""
    unit_ns: int
    compile_id: str | None
    message: str


def record_in(text: str, calendar: Calendar) -> Record | None:
    """Return the record of a plain line; None where it is not of torch's logger."""
    match = _HEAD.search(text)
    unit_ns = 1_000
    if match is None:
        match, unit_ns = _OLD_HEAD.search(text), 1_000_000
    if match is None:
        return None
    groups = match.groupdict()
    stamp = f"{groups['month']}-{groups['day']} {groups['time']}"
    at_ns = calendar.at_ns(stamp)
    if at_ns is not None:
        at_ns += int(groups.get("us") or groups.get("ms") or 0) * unit_ns
    rank, pid = groups["rank"], groups.get("pid")
    return Record(
        None if rank is None else int(rank), None if pid is None else int(pid),
        f"{groups['date']} {groups['time']}" if groups.get("date") else stamp, at_ns, unit_ns, groups["id"],
        groups["message"].strip("\r\n"),
    )  # fmt: skip


def is_of_torch(text: str) -> bool:
    """Whether a plain line is of torch's logger, and about the steps or times of compiles."""
    return _STEP.search(text) is not None and record_in(text, Calendar()) is not None
