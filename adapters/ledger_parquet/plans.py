"""Cuts what an export writes into parts: by date, and small enough for several processes to share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from ledger_parquet.ledger_tables import LedgerSession
from ledger_parquet.manifest import Manifest

EVENTS_A_PART: Final = 500_000
"""Beyond this a date has several parts."""


class PartPlan(NamedTuple):
    """What is to be in one part."""

    date: str | None
    sessions: tuple[LedgerSession, ...]
    """Of the ledger."""
    replaced: Manifest | None = None
    """The part of the lake that has some of these sessions; its other sessions are taken along."""

    @property
    def replaces(self) -> list[str]:
        """The ids of the part that it replaces, and of those that this one had replaced."""
        return [] if self.replaced is None else [self.replaced.part, *self.replaced.replaces]


def plan_parts(
    by_date: Mapping[str | None, Sequence[LedgerSession]], known: Mapping[str, Manifest]
) -> list[PartPlan]:
    """Return the parts in the order in which they are committed; `known` has the part that a session is in.

    The parts after any of them are the same once all before it are in the lake: so a killed export goes on
    with those that it would have written.
    """
    plans: list[PartPlan] = []
    for date, sessions in sorted(by_date.items(), key=lambda item: item[0] or ""):
        of_date = _replacing([each for each in sessions if each.session in known], known, date)
        fresh = [each for each in sessions if each.session not in known]
        groups = in_groups(fresh, EVENTS_A_PART)
        # New sessions go into a part that is written anyway, so that small ones become fewer.
        if of_date and groups and _events_then(of_date[-1], groups[0]) <= EVENTS_A_PART:
            last = of_date.pop()
            of_date.append(last._replace(sessions=tuple(sorted([*last.sessions, *groups.pop(0)]))))
        plans += of_date
        plans += [PartPlan(date, tuple(group)) for group in groups]
    return plans


def _replacing(
    sessions: Sequence[LedgerSession], known: Mapping[str, Manifest], date: str | None
) -> list[PartPlan]:
    """Return a plan for each part that has some of these sessions."""
    by_part: dict[str, list[LedgerSession]] = {}
    for each in sessions:
        by_part.setdefault(known[each.session].part, []).append(each)
    return [
        PartPlan(date, tuple(grown), known[grown[0].session])
        for _, grown in sorted(by_part.items(), key=lambda item: item[0])
    ]


def _events_then(plan: PartPlan, more: Sequence[LedgerSession]) -> int:
    """Return how many events a plan's part has with more sessions."""
    assert plan.replaced is not None
    ours = {each.session for each in plan.sessions}
    kept = sum(each.event_count for each in plan.replaced.sessions if each.session not in ours)
    return kept + sum(each.event_count for each in (*plan.sessions, *more))


def in_groups(sessions: Sequence[LedgerSession], most: int) -> list[list[LedgerSession]]:
    """Return sessions in groups of at most so many events; a larger one is alone."""
    groups: list[list[LedgerSession]] = []
    events = 0
    for each in sessions:
        events += each.event_count
        if not groups or events > most:
            groups.append([])
            events = each.event_count
        groups[-1].append(each)
    return groups
