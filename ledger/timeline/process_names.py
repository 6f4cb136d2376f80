"""What a reader is shown for each process of a session: one rule for every report and export."""

from collections import Counter
from collections.abc import Iterable

from ledger.formatting import cut
from ledger.timeline.records import Process


def process_names(processes: Iterable[Process], *, max_length: int | None = None) -> dict[str, str]:
    """Return a name for each process of a session, by its id.

    It is the process's own name, or else its id, with its rank. The host follows if the session has several
    hosts, and the id in brackets if two still have the same name. Names, hosts and ids longer than
    `max_length` are cut, each by itself.
    """
    records = list(processes)

    def shortened(text: str) -> str:
        return text if max_length is None else cut(text, max_length)

    has_hosts = len({record.host for record in records} - {None}) > 1
    names: dict[str, str] = {}
    for record in records:
        rank = "" if record.rank is None else f" rank {record.rank}"
        host = f" on {shortened(record.host)}" if record.host and has_hosts else ""
        names[record.process] = (shortened(record.name or "") or shortened(record.process)) + rank + host
    uses = Counter(names.values())
    return {
        process: name if uses[name] == 1 else f"{name} [{shortened(process)}]"
        for process, name in names.items()
    }
