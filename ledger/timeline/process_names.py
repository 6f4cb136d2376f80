"""What a reader is shown for each process of a session: one rule for the live view, reports and exports."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

from ledger.formatting import cut


class Named(Protocol):
    """What a process's name is made of: a `Process`, or what is known of one so far."""

    @property
    def process(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str | None: ...  # noqa: D102
    @property
    def rank(self) -> int | None: ...  # noqa: D102
    @property
    def pid(self) -> int | None: ...  # noqa: D102
    @property
    def host(self) -> str | None: ...  # noqa: D102


_NUMBER: Final = re.compile(r"\d*$")


def process_names(processes: Iterable[Named], *, max_length: int | None = None) -> dict[str, str]:
    """Return a name for each process of a session, by its id.

    It is the process's own name, or else its id, with its rank where the name does not end with it. The host
    follows if the session has several hosts, the pid if two still have the same name, and the id in brackets
    if that tells them apart neither. Names, hosts and ids longer than `max_length` are cut, each by itself.
    """
    records = list(processes)

    def shortened(text: str) -> str:
        return text if max_length is None else cut(text, max_length)

    has_hosts = len({record.host for record in records} - {None}) > 1
    names: dict[str, str] = {}
    for record in records:
        rank = "" if _has_rank(record) else f" rank {record.rank}"
        host = f" on {shortened(record.host)}" if record.host and has_hosts else ""
        names[record.process] = (shortened(record.name or "") or shortened(record.process)) + rank + host
    uses = Counter(names.values())
    for record in records:
        if uses[names[record.process]] > 1 and record.pid is not None:
            names[record.process] += f" pid {record.pid}"
    uses = Counter(names.values())
    return {
        process: name if uses[name] == 1 else f"{name} [{shortened(process)}]"
        for process, name in names.items()
    }


def _has_rank(record: Named) -> bool:
    """Whether a process has no rank, or a name that ends with it, as Worker_TP0 has."""
    number = _NUMBER.search(record.name or "")
    return record.rank is None or (number is not None and number[0] == str(record.rank))
