"""Budgets: how long a start-up may take, and checks against them."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import replace

from ledger.analysis.budget.model import Budget
from ledger.analysis.budget.verdicts import Baseline, Verdict, Verdicts, evaluate
from ledger.analysis.cohorts import place_of, sessions_of
from ledger.errors import InvalidBudget, UnknownSession
from ledger.storage.ledger import Ledger
from ledger.timeline.timeline import Timeline

__all__ = ["Baseline", "Budget", "Verdict", "Verdicts", "check_budget", "evaluate"]


def check_budget(
    ledger: Ledger,
    budget: Budget,
    *,
    session: str | None = None,
    baseline: str | None = None,
    may_run: bool = False,
) -> Verdicts:
    """Evaluate a budget for the newest session, or for all sessions of a label.

    `session` is a session id, a prefix of one, or a label; `baseline` may also be FILE or FILE:NAME, and
    overrides the budget's own. A baseline consists of the sessions that a comparison would count, except
    those being checked. With `may_run`, running sessions pass. Raises UnknownSession, and InvalidBudget if a
    limit needs a baseline and none was named.
    """
    checked = [ledger.session()] if session is None else ledger.find_sessions(session)
    compares = any(limit.at_most_over_baseline is not None for limit in budget.limits)
    name = baseline or budget.baseline
    if compares and name is None:
        raise InvalidBudget(
            'at_most_over_baseline needs a baseline: write baseline = "LABEL" at the top of the budget, '
            "or give --baseline"
        )
    with ExitStack() as opened:
        before = _baseline(ledger, name, budget, checked, opened) if compares and name is not None else None
        return evaluate(budget, (_timeline(ledger, one, budget) for one in checked), before, may_run=may_run)


def _timeline(ledger: Ledger, session: str, budget: Budget) -> Timeline:
    timeline = ledger.timeline(session)
    # Only the ledger knows the start before, and which parts of the caches' keys have changed since.
    return replace(timeline, findings=ledger.findings(session)) if budget.finding else timeline


def _baseline(
    ledger: Ledger, name: str, budget: Budget, excluded: Collection[str], opened: ExitStack
) -> Baseline:
    """Return the sessions that a name stands for, here or in another ledger, then kept open by `opened`."""
    place = place_of(name, ledger.path)
    if place.file != ledger.path:
        ledger = opened.enter_context(Ledger.open(place.file))
    try:
        sessions = sessions_of(place, ledger)
    except UnknownSession as error:
        raise UnknownSession(f"baseline: {error}") from None
    return Baseline(
        name, (_timeline(ledger, session, budget) for session in sessions if session not in excluded)
    )
