"""Lays the clocks of a session's processes on one, as far as their wall clocks agree (rule 9)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from ledger.clock import Anchor
from ledger.events.models import ProcessJoined

Domain = tuple[str | None, ...]


class ClockAlignment(NamedTuple):
    """The clocks of a session's processes, laid on one."""

    offset_ns: Mapping[str, int]
    """By process: what makes of its times those since the session's first event."""
    unplaced: tuple[str, ...]
    """The processes whose times can't be placed beside those of the others."""
    domains: int
    """How many clocks those are. Of several, times are as well aligned as their hosts' wall clocks agree."""


class SharedClock:
    """One clock for all processes: nanoseconds since the epoch, where that is known."""

    def __init__(
        self, joined: Iterable[ProcessJoined], first_ns: Mapping[str, int], about: Mapping[str, str]
    ) -> None:
        """Take the joining of processes, and when each process's first event was.

        `about` says whose clock is used by one that only speaks about another: what a collector says of a
        lost process has that process's time.
        """
        self._about = about
        self._domain_of: dict[str, Domain] = {}
        anchors: defaultdict[Domain, list[Anchor]] = defaultdict(list)
        for event in sorted(joined, key=attrgetter("seq")):
            if event.clock_domain is None:
                continue
            domain = self._domain_of.setdefault(event.process, event.clock_domain)
            if event.anchor is not None:
                anchors[domain].append(event.anchor)
        first_of: dict[Domain, int] = {}
        for process, at_ns in first_ns.items():
            domain = self._domain(process)
            first_of[domain] = min(first_of.get(domain, at_ns), at_ns)
        # Read once for a domain, so that its own times keep their distances.
        self._offset_ns = {
            domain: min(of).wall_ns - min(of).at_ns for domain, of in anchors.items() if domain in first_of
        }
        ahead_ns = [
            [anchor.wall_ns - anchor.at_ns for anchor in anchors[domain]] for domain in self._offset_ns
        ]
        self.spread_ns = max((max(of) - min(of) for of in ahead_ns), default=0)
        """By how much the anchors of one clock differ: so uncertain is where it lies beside the others."""
        began_ns = min((first_of[domain] + ahead for domain, ahead in self._offset_ns.items()), default=None)
        unplaced = first_of.keys() - self._offset_ns.keys()
        for domain in unplaced:
            self._offset_ns[domain] = (0 if began_ns is None else began_ns) - first_of[domain]
        is_alone = len(first_of) <= 1
        processes = {about.get(process, process) for process in first_ns}
        self.unplaced = tuple(
            sorted(process for process in processes if not is_alone and self._domain(process) in unplaced)
        )

    @property
    def domains(self) -> int:
        """How many clocks there are."""
        return len(self._offset_ns)

    def offset_ns(self, process: str) -> int:
        """Return what makes of a process's times those of the one clock."""
        return self._offset_ns[self._domain(process)]

    def _domain(self, process: str) -> Domain:
        process = self._about.get(process, process)
        return self._domain_of.get(process, (process,))
