"""Compares each limit of a budget with the measurements of sessions, and of a baseline's sessions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.analysis.budget.amounts import Ratio, rounded_text
from ledger.analysis.budget.measures import Group, Measured, Trace, measure, value_of
from ledger.analysis.budget.model import Budget, Difference, Limit, Unit, WorstFinding, allowance_text
from ledger.analysis.cohorts import LeftOut, why_left_out
from ledger.timeline.records import Process
from ledger.timeline.timeline import Timeline
from ledger.vocabulary import EVENTS_NOT_WRITTEN

SESSION: Final = "session"
COLUMNS: Final = ("limit", "allowed", "measured", "over by", "verdict")
_TRACE_SHOWN: Final = 5
_LABEL_SHOWN: Final = 30


class Verdict(NamedTuple):
    """One limit, and whether the measurement is within it."""

    kind: str
    """The limit's table in the budget; SESSION for the implicit limit on each checked session's outcome."""
    name: str
    bound: str
    """The allowed amount, as the budget writes it."""
    is_relative: bool
    """Whether `bound` is relative to a baseline."""
    unit: Unit
    allowed: int | None
    """The bound as a number: nanoseconds, or a count. None if it needs a baseline and there is none."""
    measured: int | None
    is_broken: bool
    fault: str | None
    """Why the limit is broken, if it is not, or not only, exceeded."""
    basis: str | None
    """Where `allowed` and `measured` come from, if that is not obvious."""
    is_lower_bound: bool
    session: str | None
    """The session that `measured` and `trace` come from."""
    process: str | None
    process_name: str | None
    trace: tuple[Trace, ...]
    """What `measured` is made of, the largest first."""

    @property
    def over(self) -> int | None:
        """How far the measurement exceeds the allowed amount; None if it does not."""
        if self.measured is None or self.allowed is None or self.measured <= self.allowed:
            return None
        return self.measured - self.allowed

    def amount_text(self, amount: int) -> str:
        """Return an amount as text, rounded."""
        return str(amount) if self.unit == "count" else rounded_text(amount)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The cells of a table row, as in COLUMNS."""
        allowed = self.bound
        if self.is_relative:
            allowed += f": {'unknown' if self.allowed is None else self.amount_text(self.allowed)}"
        over = self.over
        return (
            self.name,
            allowed,
            self._measured_text or plain(self.fault or ("" if self.kind == SESSION else "nothing")),
            "" if over is None else self.amount_text(over),
            "BROKEN" if self.is_broken else "holds",
        )

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        over = "" if self.over is None else f": {self.amount_text(self.over)} over"
        measured = f"{self._measured_text} measured" if self.measured is not None else ""
        bound = self.bound
        if self.is_relative and self.allowed is not None:
            bound += f" ({self.amount_text(self.allowed)})"
        parts = (measured, f"{bound} allowed{over}", self.fault or "", self.basis or "")
        return plain(f"{self.name}: {'; '.join(part for part in parts if part)}")

    @property
    def details(self) -> tuple[str, ...]:
        """Where the measurement comes from, one line each."""
        if self.session is None or self.kind == SESSION:
            return ()
        process = f"process {_in_brackets(self.process_name, self.process)} of " if self.process else ""
        lines = [f"in {process}session {self.session}"]
        for trace in self.trace[:_TRACE_SHOWN]:
            elsewhere = "" if trace.process in (None, self.process) else f" in process {trace.process}"
            lines.append(f"  {_trace_text(trace)}{elsewhere}")
            if trace.advice:
                lines.append(f"    → {trace.advice}")
        if len(self.trace) > _TRACE_SHOWN:
            lines.append(f"  and {len(self.trace) - _TRACE_SHOWN} more")
        return tuple(map(plain, lines))

    @property
    def _measured_text(self) -> str:
        if self.measured is None:
            return ""
        return ("at least " if self.is_lower_bound else "") + self.amount_text(self.measured)


class Verdicts(NamedTuple):
    """All limits of a budget."""

    rows: tuple[Verdict, ...]
    sessions: tuple[str, ...]
    baseline: str | None
    baseline_sessions: tuple[str, ...]
    baseline_left_out: tuple[LeftOut, ...] = ()

    @property
    def broken(self) -> tuple[Verdict, ...]:
        """The rows of broken limits."""
        return tuple(row for row in self.rows if row.is_broken)

    @property
    def summary(self) -> str:
        """How many limits hold, in one line."""
        broken, number = len(self.broken), len(self.rows)
        return f"{number - broken} of {number} limits hold" + (f", {broken} broken" if broken else "")

    def __str__(self) -> str:
        cells = [COLUMNS, *(tuple(map(plain, row.cells)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
        return "\n".join((self.summary, "", *table, "", *self.explained)).rstrip()

    @property
    def explained(self) -> tuple[str, ...]:
        """A sentence for each broken limit, followed by its details."""
        return tuple(
            line for row in self.broken for line in (row.sentence, *(f"  {detail}" for detail in row.details))
        )


class Baseline(NamedTuple):
    """The sessions that relative limits compare with."""

    name: str
    sessions: Iterable[Timeline]
    """May have any outcome: sessions that don't count are left out."""


class _Several(NamedTuple):
    """Measurements for one limit and group, by session."""

    of: Mapping[str, Measured]

    @property
    def values(self) -> list[int]:
        return sorted(one.value for one in self.of.values() if one.value is not None)

    @property
    def median(self) -> int:
        values = self.values
        return (values[(len(values) - 1) // 2] + values[len(values) // 2]) // 2

    @property
    def middle(self) -> tuple[str, Measured]:
        """The session nearest to the median, not below it."""
        measured = sorted(
            ((name, one) for name, one in self.of.items() if one.value is not None),
            key=lambda item: value_of(item[1]),
        )
        return measured[len(measured) // 2]


def evaluate(
    budget: Budget, sessions: Iterable[Timeline], baseline: Baseline | None, *, may_run: bool = False
) -> Verdicts:
    """Return a row for each session, then one for each limit. With `may_run`, running sessions pass.

    An absolute limit applies to the session with the highest measurement; a relative one to the median of
    the sessions that count in a comparison.
    """
    limits = budget.limits
    rows: list[Verdict] = []
    measured: dict[str, list[Mapping[Group, Measured]]] = {}
    counting: set[str] = set()
    for timeline in sessions:
        row = _of_session(timeline, may_run)
        rows.append(row)
        session = row.session or ""
        measured[session] = [measure(limit, timeline) for limit in limits]
        if why_left_out(timeline, may_run=may_run) is None:
            counting.add(session)
    before, left_out = _of_baseline(baseline, limits)
    name = baseline.name if baseline else ""
    for at, limit in enumerate(limits):
        its = {session: of_limits[at] for session, of_limits in measured.items()}
        its_before = {session: of_limits[at] for session, of_limits in before.items()}
        if limit.at_most is not None:
            for group in _groups(limit, its):
                rows.append(_absolute(limit, limit.at_most, group, _in_group(its, group)))
        if limit.at_most_over_baseline is not None:
            # If no session counts, their own rows already say so.
            its = {session: found for session, found in its.items() if session in counting} or its
            for group in _groups(limit, {**its_before, **its}):
                rows.append(
                    _relative(
                        limit, limit.at_most_over_baseline, group,
                        _in_group(its, group), name, _in_group(its_before, group),
                    )
                )  # fmt: skip
    return Verdicts(
        tuple(rows), tuple(measured), baseline.name if baseline else None, tuple(before), left_out
    )


def plain(text: str) -> str:
    """Escape control characters: names can contain anything, and a row is one line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _of_baseline(
    baseline: Baseline | None, limits: Sequence[Limit]
) -> tuple[dict[str, list[Mapping[Group, Measured]]], tuple[LeftOut, ...]]:
    """Return the baseline's measurements for each limit, by session, and the sessions that don't count."""
    measured: dict[str, list[Mapping[Group, Measured]]] = {}
    left_out: list[LeftOut] = []
    for timeline in baseline.sessions if baseline else ():
        session = timeline.session.session if timeline.session else ""
        if why := why_left_out(timeline):
            left_out.append(LeftOut(session, why))
        else:
            measured[session] = [measure(limit, timeline) for limit in limits]
    return measured, tuple(left_out)


def _of_session(timeline: Timeline, may_run: bool) -> Verdict:
    session = timeline.session
    if session is None:
        return _row("session", "", "completed", fault="nothing was recorded")
    label = session.label or ""
    if len(label) > _LABEL_SHOWN:
        label = f"{label[:_LABEL_SHOWN]}…"
    faults: list[str] = []
    if why := why_left_out(timeline, may_run=may_run):
        faults.append(f"it {why}")
        faults += [_ended(process) for process in timeline.processes if process.outcome in ("failed", "lost")]
    lost = sum(process.lost_events for process in timeline.processes)
    lost += sum(gap.count for gap in timeline.gaps if gap.what == EVENTS_NOT_WRITTEN)
    if lost:
        faults.append(f"{lost} of its events are missing")
    name = f"session {session.session}" + (f" “{label}”" if label else "")
    bound = "completed, ready or running" if may_run else "completed or ready"
    return _row(name, session.session, bound, fault="; ".join(faults) or None)


def _ended(process: Process) -> str:
    return f"process {_in_brackets(process.name, process.process)} is {process.outcome}"


def _absolute(limit: Limit, allowed: int, group: Group, several: _Several) -> Verdict:
    session, measured = max(several.of.items(), key=lambda item: value_of(item[1]))
    if value_of(measured) <= allowed:
        session, measured = _faulty(limit, several) or (session, measured)
    number = len(several.of)
    return _verdict(
        limit, group, f"at most {allowance_text(limit, allowed)}", allowed, measured.value, session, measured,
        basis=f"the highest of {number} sessions" if number > 1 and value_of(measured) > allowed else None,
    )  # fmt: skip


def _relative(
    limit: Limit, allowance: int | Ratio, group: Group, several: _Several, name: str, before: _Several
) -> Verdict:
    bound = f"at most {allowance_text(limit, allowance)} over “{name}”"
    faulty = _faulty(limit, several)
    values = several.values
    if faulty is not None or not values:
        session, measured = faulty or ("", Measured())
        return _verdict(limit, group, bound, None, measured.value, session, measured, is_relative=True)
    session, measured = several.middle
    if not before.of:
        measured = measured._replace(
            unknown="the baseline has no comparable session besides those being checked"
        )
    elif not before.values and not limit.may_be_missing:
        measured = measured._replace(unknown="nothing measured in the baseline")
    if not before.values:
        return _verdict(limit, group, bound, None, several.median, session, measured, is_relative=True)
    allowed = before.median + (allowance.of(before.median) if isinstance(allowance, Ratio) else allowance)
    if limit.beyond_spread:
        bound += ", beyond its spread"
        allowed = max(allowed, before.values[-1])
    text_of = str if limit.unit == "count" else rounded_text
    basis = f"the baseline's median is {text_of(before.median)} over {_sessions(len(before.values))}"
    if len(before.values) > 1:
        basis += f", from {text_of(before.values[0])} to {text_of(before.values[-1])}"
    if len(values) > 1:
        basis = f"the median of {len(values)} sessions is compared; {basis}"
    return _verdict(
        limit, group, bound, allowed, several.median, session, measured, basis=basis, is_relative=True
    )


def _verdict(
    limit: Limit,
    group: Group,
    bound: str,
    allowed: int | None,
    value: int | None,
    session: str,
    measured: Measured,
    *,
    basis: str | None = None,
    is_relative: bool = False,
) -> Verdict:
    is_over = value is not None and allowed is not None and value > allowed
    # Of several claims or findings, show only those beyond the limit.
    is_of_each = is_over and isinstance(limit, Difference | WorstFinding)
    trace = tuple(one for one in measured.trace if not is_of_each or (one.ns or 0) > (allowed or 0))
    fault = measured.unknown
    if fault is None and measured.value is None and not limit.may_be_missing:
        fault = measured.missing
    return Verdict(
        limit.kind, plain(limit.title(group)), plain(bound), is_relative, limit.unit, allowed, value,
        is_broken=is_over or fault is not None,
        fault=fault,
        basis=basis,
        is_lower_bound=measured.is_lower_bound,
        session=session or None,
        process=measured.process,
        process_name=measured.process_name,
        trace=trace,
    )  # fmt: skip


def _row(name: str, session: str, bound: str, fault: str | None) -> Verdict:
    return Verdict(
        SESSION, plain(name), bound, False, "count", None, None, fault is not None, fault,
        basis=None, is_lower_bound=False, session=session or None, process=None, process_name=None, trace=(),
    )  # fmt: skip


def _groups(limit: Limit, measured: Mapping[str, Mapping[Group, Measured]]) -> Sequence[Group]:
    """Return the groups of a limit in order of first appearance; one empty group if nothing was measured."""
    groups = dict.fromkeys(group for of_session in measured.values() for group in of_session)
    return list(groups) or [()]


def _in_group(measured: Mapping[str, Mapping[Group, Measured]], group: Group) -> _Several:
    return _Several({session: groups.get(group, Measured()) for session, groups in measured.items()})


def _faulty(limit: Limit, several: _Several) -> tuple[str, Measured] | None:
    """Return a session whose measurement is missing or uncertain; None if there is none that matters."""
    for name, one in several.of.items():
        if one.unknown is not None or (one.value is None and not limit.may_be_missing):
            return name, one
    return None


def _sessions(number: int) -> str:
    return "1 session" if number == 1 else f"{number} sessions"


def _in_brackets(name: str | None, identity: str | None) -> str:
    return f"{name} ({identity})" if name else str(identity)


def _trace_text(trace: Trace) -> str:
    kinds = (("interval", trace.interval), ("claim", trace.claim))
    named = [f"{kind} {number}" for kind, number in kinds if number is not None]
    what = f"{trace.what} ({trace.finding})" if trace.finding else trace.what
    parts = [text for text in ("" if trace.ns is None else rounded_text(trace.ns), what) if text]
    return ": ".join(text for text in (" ".join(named), ", ".join(parts)) if text)
