"""Turns what one process of SGLang logged into events: intervals between stamps, claims, open intervals."""

from collections.abc import Iterator
from typing import Any, Final

from ledger import Event
from ledger_log_lines.process_events import Outcome, ProcessEvents
from ledger_log_lines.progress_bars import Bar
from ledger_sglang_log.message_patterns import (
    DISTRIBUTED_INIT,
    GRAPH_CAPTURE,
    LAST_STEP,
    MODEL_LOAD,
    BarPattern,
    Stage,
)
from ledger_sglang_log.stage_placement import Placed

_BAR_NS: Final = 1_000_000_000
_MOST_OPEN: Final = 100
"""Stages that go on at a time; a start-up has three."""
_MOST_INSIDE: Final = 1_000
_DRAFTER: Final = "drafter"
_MODEL: Final = "language_model"


class Process:
    """One process of a start-up, and its events so far."""

    def __init__(self, session: str, ranks: str) -> None:
        self.ranks: Final = ranks
        self.events: Final = ProcessEvents(session, ranks.replace(" ", "-") or "server")
        self.has_failed = False
        self.error: str | None = None
        self.captures: dict[str | None, list[tuple[int, int, int]]] = {}
        """The captures of graphs that stated a length, by component: interval, length and end."""
        self._open: list[Placed] = []
        """What goes on, the innermost last."""
        self._floor_ns = 0
        self._last_stage: str | None = None
        self._loads = 0
        self._failed_ns: int | None = None

    @property
    def going_on(self) -> frozenset[str]:
        """The stages that go on."""
        return frozenset(placed.stage.name for placed in self._open)

    def begin(
        self, stage: Stage, component: str | None, at_ns: int, unit_ns: int, line: int
    ) -> Iterator[Event]:
        """Take a line that says that a stage begins."""
        if stage is MODEL_LOAD and DISTRIBUTED_INIT.name in self.going_on:
            # In logs of early 2025 no line says that it had ended.
            yield from self.end(DISTRIBUTED_INIT, None, None, at_ns, unit_ns, line, "")
        if any(self._is_same(placed, stage, component) for placed in self._open):
            # No end will come for the one before; what begins anew is not inside of it.
            yield from self._give_up(stage, component)
        if len(self._open) >= _MOST_OPEN:
            yield from self._put(self._open.pop(0))
        role = self._role_of(stage, component, is_beginning=True)
        self._open.append(Placed(stage, at_ns, unit_ns, component, role, {"line": line}))

    def end(
        self,
        stage: Stage,
        component: str | None,
        seconds: str | None,
        at_ns: int,
        unit_ns: int,
        line: int,
        text: str,
    ) -> Iterator[Event]:
        """Take a line that says that a stage has ended, or that one took so long until now."""
        found = next((one for one in reversed(self._open) if self._is_same(one, stage, component)), None)
        if found is None:
            placed = Placed(stage, None, unit_ns, role=self._role_of(stage, component, is_beginning=True))
        else:
            placed = found
            # What began inside of it and has no end went on no longer than it did.
            later = self._open[self._open.index(found) + 1 :]
            del self._open[self._open.index(found) :]
            placed.inside += later
        placed.component = placed.component or component
        placed.data |= {"line": line, "uncertainty_ns": unit_ns}
        placed.end_ns = at_ns
        if seconds is None:
            placed.data["length"] = "between two stamps" if found is not None else "not stated"
        else:
            placed.length_ns, placed.text = _ns(seconds), text
        yield from self._finish(placed)

    def take_bar(self, row: BarPattern, bar: Bar, line: int, at_ns: int, unit_ns: int) -> Iterator[Event]:
        """Take a finished progress bar: it ended at a time, or as much later as is said."""
        placed = Placed(
            row.stage, None, unit_ns, end_ns=at_ns, length_ns=bar.seconds * _BAR_NS, text=bar.text
        )
        around = next((one for one in reversed(self._open) if one.stage.name in row.within), None)
        placed.role = None if around is None else around.role
        if ":" in bar.description:
            placed.component = bar.description.partition(": ")[2].removeprefix("Tuning ") or None
        placed.data |= {"line": line, "uncertainty_ns": unit_ns, "logged_by": "a progress bar"}
        yield from self._finish(placed)

    def fail(self, at_ns: int, *, is_starting: bool) -> None:
        """Take the process's failure: during start-up, the stages that it was in have failed with it."""
        self.has_failed = True
        if is_starting and self._failed_ns is None:
            self._failed_ns = at_ns

    def finish(self) -> Iterator[Event]:
        """Yield what was going on when the start-up, or its log, ended."""
        if self._failed_ns is not None and not self._open:
            # Of a failure in no stage this is all that is known: how long it was after the last one.
            since_ns = min(self._floor_ns or self._failed_ns, self._failed_ns)
            made = self.events.stage(
                LAST_STEP.name, since_ns, self._failed_ns, activity=LAST_STEP.activity, outcome="failed",
                error=self.error, data={"after": self._last_stage},
            )  # fmt: skip
            yield from made.events
        for placed in self._open[1:]:
            self._open[0].inside.append(placed)
        for placed in self._open[:1]:
            yield from self._put(placed)
        self._open.clear()

    def _finish(self, placed: Placed) -> Iterator[Event]:
        if self._open and len(self._open[-1].inside) < _MOST_INSIDE:
            self._open[-1].inside.append(placed)
        else:
            yield from self._put(placed)

    def _put(self, placed: Placed) -> Iterator[Event]:
        self._floor_ns = placed.put(self._floor_ns)
        self._last_stage = placed.stage.name
        yield from self._events_of(placed)

    def _events_of(self, placed: Placed) -> Iterator[Event]:
        stop_ns, outcome, error = placed.stop_ns, placed.outcome, None
        if stop_ns is None and self._failed_ns is not None:
            stop_ns, outcome, error = max(placed.start_ns, self._failed_ns), "failed", self.error
        made = self.events.stage(
            placed.stage.name, placed.start_ns, stop_ns, activity=placed.stage.activity, role=placed.role,
            component=placed.component, data=placed.data, outcome=_outcome(outcome), error=error,
        )  # fmt: skip
        yield from made.events
        if placed.length_ns is not None and stop_ns is not None:
            is_bar = "logged_by" in placed.data
            data: dict[str, Any] = {
                name: value for name, value in placed.data.items() if name != "uncertainty_ns"
            }
            yield self.events.claim(
                placed.stage.name, placed.length_ns, stop_ns, source=placed.stage.source,
                resolution_ns=_BAR_NS if is_bar else _resolution_ns(placed.text), text=placed.text,
                interval=made.interval, role=placed.role, component=placed.component, data=data,
            )  # fmt: skip
            if placed.stage is GRAPH_CAPTURE:
                found = (made.interval, placed.length_ns, stop_ns)
                self.captures.setdefault(placed.component, []).append(found)
        for one in placed.inside:
            yield from self._events_of(one)

    def _give_up(self, stage: Stage, component: str | None) -> Iterator[Event]:
        place = next(n for n, one in enumerate(self._open) if self._is_same(one, stage, component))
        given_up = self._open[place]
        given_up.inside += self._open[place + 1 :]
        del self._open[place:]
        yield from self._finish(given_up)

    def _role_of(self, stage: Stage, component: str | None, *, is_beginning: bool) -> str | None:
        """Return the part of the model: a process loads the drafter after the model that it drafts for."""
        if stage is MODEL_LOAD:
            self._loads += is_beginning
            return _MODEL if self._loads <= 1 else _DRAFTER
        if stage is GRAPH_CAPTURE:
            return _DRAFTER if (component or "").startswith("draft") else _MODEL
        return None

    @staticmethod
    def _is_same(placed: Placed, stage: Stage, component: str | None) -> bool:
        """Whether a line is about a stage that goes on; only the end of a load names the model."""
        return placed.stage is stage and (stage is MODEL_LOAD or placed.component == component)


def _outcome(outcome: str) -> Outcome:
    return "failed" if outcome == "failed" else "completed"


def _ns(seconds: str) -> int:
    return round(float(seconds) * 1e9)


def _resolution_ns(text: str) -> int:
    """Return the unit of the last digit: SGLang prints hundredths."""
    return 10_000_000 if text else 1
