"""A session as spans: one for itself, from the command to ready, one per process, interval and claim.

A claim is a span without a length, when it was made, with links to the spans of the intervals that it speaks
of: it is never taken for a measurement, and a viewer leads from one to the other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from ledger import Claim, Interval, Ledger, Process, Reconciliation, Timeline, __version__
from ledger.adapters import IntervalKey, claim_intervals, intervals_in_question, process_names
from ledger_otlp.attributes import PREFIX, Value, of_data, own, process_resource, session_resource
from ledger_otlp.identity import claim_context, interval_context, process_context, session_context
from ledger_otlp.placement import Placement

SESSION_SPAN: Final = "startup"
"""The name of the root span."""
CLAIM_SPAN: Final = "claim"

_SCOPE: Final = InstrumentationScope("compile-ledger", __version__)
_FAILURES: Final = ("failed", "lost")
_LOWER_BOUNDS: Final = ("open", "abandoned")
_TABLES: Final = (
    "sessions", "processes", "claims", "reconciliation", "causes", "milestones", "gaps", "startup_windows",
)  # fmt: skip
_OF_INTERVAL: Final = (
    "interval", "activity", "role", "component", "source", "depth", "is_top_level", "self_ns",
    "unattributed_ns", "outcome",
)  # fmt: skip


def spans(ledger: Ledger, session: str) -> Iterator[ReadableSpan]:
    """Yield a session's spans, those around others first. Of its intervals, one at a time is in memory.

    Raises UnknownSession, and LedgerError where nothing says when on the wall clock the session was.
    """
    return _SessionSpans(ledger, ledger.session(session)).spans()


class _SessionSpans:
    def __init__(self, ledger: Ledger, session: str) -> None:
        self._ledger: Final = ledger
        self._session: Final = session
        # Without its intervals, which come one by one.
        self._timeline: Final[Timeline] = ledger.timeline_tables(session, *_TABLES)
        self._placement: Final = Placement(ledger, session)
        record = self._timeline.session
        self._resources: Final[Mapping[str, Resource]] = {
            process.process: process_resource(record, process) for process in self._timeline.processes
        }

    def spans(self) -> Iterator[ReadableSpan]:
        yield self._root()
        names = process_names(self._timeline.processes)
        events = self._moments()
        for process in self._timeline.processes:
            yield self._process(process, names[process.process], events[process.process])
        yield from map(self._interval, self._ledger.intervals(self._session))
        yield from self._claims()

    def _root(self) -> ReadableSpan:
        session, windows = self._timeline.session, self._timeline.startup_windows
        start_ns, stop_ns = self._placement.bounds()
        if windows:
            start_ns = self._placement.of_session(min(window.start_ns for window in windows))
            stop_ns = self._placement.of_session(max(window.stop_ns for window in windows))
        attributes: dict[str, Value] = {}
        if windows:
            first = windows[0]
            attributes |= own(
                {
                    "began_by": first.began_by,
                    "ended_by": first.ended_by,
                    "time_to_ready_ns": first.duration_ns,
                    "unattributed_ns": first.unattributed_ns,
                    "uncertainty_ns": first.uncertainty_ns,
                }
            )
        # One that became ready more than once has an event for each time.
        events = [
            Event(
                window.ended_by,
                own({"window": window.window, "duration_ns": window.duration_ns}),
                self._placement.of_session(window.stop_ns),
            )
            for window in windows
        ]
        outcome = None if session is None else session.outcome
        return self._span(
            SESSION_SPAN, session_context(self._session), None, session_resource(session, self._session),
            (start_ns, stop_ns), attributes | own({"outcome": outcome}), outcome, events=events,
        )  # fmt: skip

    def _process(self, process: Process, name: str, events: list[Event]) -> ReadableSpan:
        lost = process.lost_events or None
        return self._span(
            name, process_context(self._session, process.process), session_context(self._session),
            self._resources[process.process], self._placement.process_bounds(process.process),
            own({"outcome": process.outcome, "event_count": process.event_count, "lost_events": lost}),
            process.outcome, events=events,
        )  # fmt: skip

    def _interval(self, interval: Interval) -> ReadableSpan:
        process, start_ns, stop_ns = interval.process, interval.start_ns, interval.stop_ns
        if stop_ns is None:
            stop_ns = start_ns + (interval.open_ns or 0)
        attributes = own({name: getattr(interval, name) for name in _OF_INTERVAL}) | of_data(
            interval.data_json
        )
        if interval.outcome in _LOWER_BOUNDS:
            attributes[f"{PREFIX}is_lower_bound"] = True
        if interval.thread is not None:
            attributes["thread.name"] = interval.thread
        if interval.error is not None:
            attributes["error.type"] = interval.error
        parent = (
            process_context(self._session, process)
            if interval.enclosing is None
            else interval_context(self._session, process, interval.enclosing)
        )
        bounds = self._placement.of_process(process, start_ns), self._placement.of_process(process, stop_ns)
        return self._span(
            interval.stage, interval_context(self._session, process, interval.interval), parent,
            self._resources[process], bounds, attributes, interval.outcome, interval.error,
        )  # fmt: skip

    def _claims(self) -> Iterator[ReadableSpan]:
        reconciled = {(one.process, one.claim): one for one in self._timeline.reconciliation}
        asked = intervals_in_question(self._timeline)
        found = self._ledger.intervals_of_keys(self._session, asked)
        about = claim_intervals(self._timeline, {(one.process, one.interval) for one in found})
        seen: Counter[tuple[str, int]] = Counter()
        for claim, intervals in zip(self._timeline.claims, about, strict=True):
            key = claim.process, claim.claim
            yield self._claim(claim, seen[key], reconciled.get(key), intervals)
            seen[key] += 1

    def _claim(
        self,
        claim: Claim,
        number: int,
        reconciled: Reconciliation | None,
        intervals: tuple[IntervalKey, ...],
    ) -> ReadableSpan:
        fields: dict[str, object] = {
            "claim": claim.claim, "counts": claim.counts, "source": claim.source, "role": claim.role,
            "component": claim.component, "stage": claim.stage, "claimed_ns": claim.claimed_ns,
            "resolution_ns": claim.resolution_ns, "text": claim.text,
        }  # fmt: skip
        if reconciled is not None:
            names = ("measured_ns", "measured_uncertainty_ns", "difference_ns", "main_cause")
            fields |= {name: getattr(reconciled, name) for name in names}
        at_ns = self._placement.of_process(claim.process, claim.at_ns)
        links = [Link(interval_context(self._session, *key)) for key in intervals]
        return self._span(
            CLAIM_SPAN, claim_context(self._session, claim.process, claim.claim, number),
            process_context(self._session, claim.process), self._resources[claim.process], (at_ns, at_ns),
            own(fields) | of_data(claim.data_json), links=links,
        )  # fmt: skip

    def _moments(self) -> defaultdict[str, list[Event]]:
        """Return, by process, what happened at one moment: milestones, and what was not seen."""
        moments: defaultdict[str, list[Event]] = defaultdict(list)
        for one in self._timeline.milestones:
            at_ns = self._placement.of_process(one.process, one.at_ns)
            moments[one.process].append(Event(one.name, timestamp=at_ns))
        for gap in self._timeline.gaps:
            at_ns = self._placement.of_process(gap.process, gap.at_ns)
            about = own({"what": gap.what, "count": gap.count, "detail": gap.detail})
            moments[gap.process].append(Event("gap", about, at_ns))
        return moments

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        resource: Resource,
        bounds_ns: tuple[int, int],
        attributes: Mapping[str, Value],
        outcome: str | None = None,
        error: str | None = None,
        *,
        events: list[Event] | None = None,
        links: list[Link] | None = None,
    ) -> ReadableSpan:
        start_ns, stop_ns = bounds_ns
        if self._placement.uncertainty_ns:
            attributes = {**attributes, **own({"clock_uncertainty_ns": self._placement.uncertainty_ns})}
        status = (
            Status(StatusCode.ERROR, error or outcome) if outcome in _FAILURES else Status(StatusCode.UNSET)
        )
        return ReadableSpan(
            name, context, parent, resource, attributes, events or (), links or (), status=status,
            start_time=start_ns, end_time=max(start_ns, stop_ns), instrumentation_scope=_SCOPE,
        )  # fmt: skip
