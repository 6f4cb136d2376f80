"""Pairs the lines in which torch says that a step of a compile begins and has ended.

A frame is traced (step 1), the graph that comes of it goes to a backend (step 2), which is Inductor mostly
and compiles the forward and the backward graph (step 3). A graph break ends the trace without a line of its
own: Dynamo calls the backend with what it has, or traces the frame again under the same number.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from ledger import Event
from ledger_log_lines.process_events import ProcessEvents, StageEvents
from ledger_torch_log.records import Record

DYNAMO, BACKEND, INDUCTOR = "dynamo", "backend_compile", "graph_compile"
_CODEGEN: Final = "fx_codegen_and_compile"
_MOST_OPEN: Final = 1_000

_TRACE: Final = re.compile(r"Step 1: torchdynamo start tracing (?P<name>.{1,500})", re.DOTALL)
_TRACED: Final = re.compile(r"Step 1: torchdynamo done tracing .*", re.DOTALL)
_CALL: Final = re.compile(r"Step 2: calling compiler function (?P<name>.{1,500})", re.DOTALL)
_CALLED: Final = re.compile(r"Step 2: done compiler function .*", re.DOTALL)
_COMPILE: Final = re.compile(
    r"Step 3: torchinductor (?P<done>done )?compiling (?P<graph>(?:FORWARDS|BACKWARDS) graph \d{1,9})\b.*",
    re.DOTALL,
)
_TOOK: Final = re.compile(r"FX codegen and compilation took (?P<seconds>\d{1,7}\.\d{1,9})s\b.*", re.DOTALL)


class _Open(NamedTuple):
    """A step that has begun."""

    stage: str
    frame: str | None
    """The number of the frame and how often it was compiled, `0/1`, whatever attempt."""
    component: str | None
    at_ns: int
    data: dict[str, Any]


class Steps:
    """The steps of one process."""

    def __init__(self, events: ProcessEvents) -> None:
        self.events: Final = events
        self.backends: list[tuple[int, int]] = []
        """The intervals of step 2 that have ended, and their lengths, in the order in which they ended."""
        self._open: list[_Open] = []

    def __bool__(self) -> bool:
        """Whether a step goes on."""
        return bool(self._open)

    def take(self, record: Record, at_ns: int, line: int) -> Iterator[Event]:
        """Yield the events of a message; none where it is not about a step."""
        message, frame = record.message, _frame(record.compile_id)
        data: dict[str, Any] = {"line": line, "uncertainty_ns": record.unit_ns}
        if record.compile_id is not None:
            data["compile_id"] = record.compile_id
        if (match := _TRACE.fullmatch(message)) is not None:
            yield from self._end_trace(frame, at_ns, "traced again")
            yield from self._begin(_Open(DYNAMO, frame, _named(match["name"]), at_ns, data))
        elif _TRACED.fullmatch(message) is not None:
            yield from self._end_trace(frame, at_ns, None)
        elif (match := _CALL.fullmatch(message)) is not None:
            yield from self._end_trace(frame, at_ns, "the backend was called")
            yield from self._begin(_Open(BACKEND, frame, _named(match["name"]), at_ns, data))
        elif _CALLED.fullmatch(message) is not None:
            yield from self._end(BACKEND, frame, None, at_ns)
        elif (match := _COMPILE.fullmatch(message)) is not None:
            if match["done"] is None:
                yield from self._begin(_Open(INDUCTOR, frame, match["graph"], at_ns, data))
            else:
                yield from self._end(INDUCTOR, frame, match["graph"], at_ns)
        elif (match := _TOOK.fullmatch(message)) is not None:
            length_ns = round(float(match["seconds"]) * 1e9)
            made = self.events.stage(
                _CODEGEN, max(0, at_ns - length_ns), at_ns, activity="compile", data=data
            )
            yield from made.events
            yield self.events.claim(
                _CODEGEN, length_ns, at_ns, source="torch", resolution_ns=1_000_000, text=message,
                interval=made.interval, data={"line": line},
            )  # fmt: skip

    def rest(self) -> Iterator[Event]:
        """Yield the steps that went on when the log ended."""
        for one in self._open:
            yield from self._stage(one, None, one.data).events
        self._open.clear()

    def _begin(self, begun: _Open) -> Iterator[Event]:
        self._open.append(begun)
        if len(self._open) > _MOST_OPEN:
            one = self._open.pop(0)
            yield from self._stage(one, None, one.data).events

    def _end_trace(self, frame: str | None, at_ns: int, why: str | None) -> Iterator[Event]:
        yield from self._end(DYNAMO, frame, None, at_ns, {} if why is None else {"ended_by": why})

    def _end(
        self,
        stage: str,
        frame: str | None,
        component: str | None,
        at_ns: int,
        data: dict[str, Any] | None = None,
    ) -> Iterator[Event]:
        """End the step that began last of those that a line can mean."""
        found = next(
            (
                one
                for one in reversed(self._open)
                if one.stage == stage and one.frame == frame and component in (None, one.component)
            ),
            None,
        )
        if found is None:
            return
        self._open.remove(found)
        made = self._stage(found, at_ns, found.data | (data or {}))
        if stage == BACKEND:
            self.backends.append((made.interval, at_ns - found.at_ns))
        yield from made.events

    def _stage(self, one: _Open, stop_ns: int | None, data: dict[str, Any]) -> StageEvents:
        stop_ns = None if stop_ns is None else max(one.at_ns, stop_ns)
        return self.events.stage(
            one.stage, one.at_ns, stop_ns, activity="compile", component=one.component, data=data
        )


def _frame(compile_id: str | None) -> str | None:
    return None if compile_id is None else compile_id.partition("_")[0]


def _named(name: str) -> str:
    """Return a name without the file and line that newer versions add."""
    name = re.sub(r" \S{1,400}:\d{1,9}$", "", name.strip()) or "unknown"
    # A quotation's mark at the end of a line is taken off, whatever it was.
    return f"{name}>" if name.startswith("<") and not name.endswith(">") else name
