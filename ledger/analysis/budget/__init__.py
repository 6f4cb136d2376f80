"""Budgets: what a start-up may take, and whether it did."""

import os
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from ledger.analysis.budget.model import Budget
from ledger.analysis.budget.verdicts import Baseline, Verdict, Verdicts, evaluate
from ledger.errors import InvalidBudget, UnknownSession
from ledger.recording.journal import journal_folder, journals
from ledger.storage.ledger import Ledger

__all__ = ["Baseline", "Budget", "Verdict", "Verdicts", "check_budget", "evaluate"]


def check_budget(
    ledger: Ledger,
    budget: Budget,
    *,
    session: str | None = None,
    baseline: str | None = None,
    may_run: bool = False,
) -> Verdicts:
    """Hold a budget against the newest session, or against all of a label.

    `session` and `baseline` are a session's id, its beginning, or a label; `baseline` may also be FILE:LABEL,
    and goes before the budget's own. Of a baseline's sessions those count that completed and are not being
    checked. `may_run` lets sessions pass that are not over. Raises UnknownSession, and InvalidBudget where a
    limit needs a baseline that nobody named.
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
        before = _baseline(ledger, name, checked, opened) if compares and name is not None else None
        return evaluate(budget, (ledger.timeline(one) for one in checked), before, may_run=may_run)


def _baseline(ledger: Ledger, name: str, without: Collection[str], opened: ExitStack) -> Baseline:
    """Return the completed sessions of a label, here or in another ledger, which is to be `opened`."""
    label = name
    if not _labelled(ledger, name):
        for at, character in enumerate(name):
            if character == ":" and _is_ledger(Path(name[:at])):
                ledger, label = opened.enter_context(Ledger.open(name[:at])), name[at + 1 :]
                break
    try:
        found = _labelled(ledger, label) or ledger.find_sessions(label)
    except UnknownSession as error:
        raise UnknownSession(f"the baseline: {error}") from None
    return Baseline(name, (ledger.timeline(session) for session in found if session not in without))


def _is_ledger(path: Path) -> bool:
    return os.path.isfile(path) or bool(journals(journal_folder(path)))


def _labelled(ledger: Ledger, label: str) -> list[str]:
    rows = ledger.sql("SELECT session FROM sessions WHERE label = ?", [label])
    labelled = {row["session"] for row in rows}
    return [session for session in ledger.sessions() if session in labelled]
