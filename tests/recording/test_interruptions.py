"""What a signal handler does in the middle of a call of the recorder's, at each place where it may come."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ledger import GapNoted, MilestoneReached, ProcessLeft, Recorder, TotalClaimed
from ledger.storage import collector
from tests.support.journals import events_in

_OURS = ("ledger.recording", "ledger_birth")

Call = Callable[[Recorder], object]
"""A call that makes one event, with "called" in it."""


class Interruption:
    """Runs a call, and a handler before the operation of a number in code of the recorder's."""

    def __init__(self, number: int, handler: Callable[[], object]) -> None:
        self.left = number
        self.handler = handler
        self.within = ""
        """The module whose code the handler has interrupted."""

    def during(self, call: Callable[[], object]) -> bool:
        """Return whether the handler ran: else the call has fewer operations."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            call()
        finally:
            sys.settrace(before)
        return self.left < 0

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        if not str(frame.f_globals.get("__name__")).startswith(_OURS):
            return None
        frame.f_trace_opcodes = True
        return self._operation

    def _operation(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "opcode":
            self.left -= 1
            if self.left == -1:
                self.within = str(frame.f_globals.get("__name__"))
                self.handler()  # Python traces nothing meanwhile
        return self._operation


def milestone(recorder: Recorder) -> None:
    recorder.milestone("called")


def claim(recorder: Recorder) -> None:
    recorder.claim(1.0, source="log", text="called")


def acknowledged_and_found(path: Path, call: Call, handler: Callable[[Recorder], int], number: int) -> bool:
    """Check what is left of a call that a handler interrupts, which returns how many events it has made."""
    recorder = Recorder.open(path)
    if number % 2:
        recorder.milestone("first")
    made = 0

    def handle() -> None:
        nonlocal made
        made = handler(recorder)

    interruption = Interruption(number // 2, handle)
    did_run = interruption.during(lambda: call(recorder))
    # Where a call has not got any further than this, it comes after the close.
    is_late = not recorder.enabled and interruption.within == "ledger.recording.recorder"
    recorder.milestone("last")
    is_open = recorder.enabled
    recorder.close()
    events = events_in(path)
    at = f"operation {number // 2}"
    assert set(Counter((event.process, event.seq) for event in events).values()) <= {1}, at
    is_there = [
        event
        for event in events
        if (isinstance(event, MilestoneReached) and event.name in ("called", "handler", "first", "last"))
        or (isinstance(event, TotalClaimed) and event.text == "called")
    ]
    counted = sum(event.count for event in events if isinstance(event, GapNoted))
    made += number % 2 + is_open
    assert len(is_there) <= made + 1, at
    assert made + (not is_late) <= len(is_there) + counted, at
    if events:
        holes = max(event.seq for event in events) + 1 - len(events)
        assert holes <= counted, at
        assert len([event for event in events if isinstance(event, ProcessLeft)]) == 1, at
    return did_run


def close(recorder: Recorder) -> int:
    recorder.close()
    return 0


def record(recorder: Recorder) -> int:
    recorder.milestone("handler")
    return 1


def record_what_is_not_valid(recorder: Recorder) -> int:
    recorder.claim(None, source="log")  # type: ignore[arg-type]
    recorder.milestone("handler")
    return 2


@pytest.mark.parametrize("handler", [close, record, record_what_is_not_valid])
@pytest.mark.parametrize("call", [milestone, claim])
def test_a_handler_at_any_place_loses_nothing(
    tmp_path: Path, call: Call, handler: Callable[[Recorder], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "collect_own", lambda *_, **__: None)
    number = 0
    while acknowledged_and_found(tmp_path / f"{number}.db", call, handler, number):
        number += 1
    assert number > 200
