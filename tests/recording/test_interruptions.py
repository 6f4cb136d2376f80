"""What a signal handler does in the middle of a call of the recorder's, at each place where it may come."""

import dis
import functools
import itertools
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import CodeType, FrameType
from typing import Any

import pytest

from ledger import GapNoted, MilestoneReached, ProcessLeft, Recorder, TotalClaimed
from ledger.events.fork_guard import ForkGuard
from ledger.recording import event_writer, line_encoding, start_templates
from ledger.storage import collector
from ledger_birth import turns
from tests.support.journals import events_in

_HANGS_AFTER_S = 30
_OURS = ("ledger.recording", "ledger.events.fork_guard", "ledger_birth")

Call = Callable[[Recorder], object]
"""A call that makes one event, with "called" in it."""


@functools.cache
def places(code: CodeType) -> frozenset[int]:
    """Return the operations before which Python looks for signals: after calls, and where it goes back."""
    instructions = list(dis.get_instructions(code))
    after = {
        one.offset
        for before, one in itertools.pairwise(instructions)
        if before.opname.startswith(("CALL", "RESUME"))
    }
    back = {one.argval for one in instructions if "JUMP_BACKWARD" in one.opname}
    return frozenset(after | back)


class Interruption:
    """Runs a call, and a handler at the place of a number in code of the recorder's."""

    def __init__(self, number: int, handler: Callable[[], object]) -> None:
        self.left = number
        self.handler = handler
        self.within = ""
        """The module whose code the handler has interrupted."""

    def during(self, call: Callable[[], object]) -> bool:
        """Return whether the handler ran: else the call has fewer places."""
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
        if event == "opcode" and frame.f_lasti in places(frame.f_code):
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
    if handler is remove_the_journal:
        made += handler(recorder)
    recorder.milestone("last")
    is_open = recorder.enabled
    recorder.close()
    events = events_in(path)
    at = f"place {number // 2}"
    assert set(Counter((event.process, event.seq) for event in events).values()) <= {1}, at
    is_there = {
        event
        for event in events
        if (isinstance(event, MilestoneReached) and event.name in ("called", "handler", "first", "last"))
        or (isinstance(event, TotalClaimed) and event.text == "called")
    }
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


def remove_the_journal(recorder: Recorder) -> int:
    """As somebody else may do it: what is written next has to find out, without time having passed."""
    if recorder.writer is None:
        return 0
    lines = recorder.writer.lines
    for journal in Path(f"{lines.target.ledger}.journal").glob("*.jsonl"):
        journal.unlink()
    lines.look_at_ns = 0
    recorder.milestone("handler")
    return 1


def record_in_a_thread(recorder: Recorder) -> int:
    thread = Thread(target=recorder.milestone, args=("handler",))
    thread.start()
    thread.join(_HANGS_AFTER_S)
    assert not thread.is_alive()
    return 1


def close_in_a_thread(recorder: Recorder) -> int:
    thread = Thread(target=recorder.close)
    thread.start()
    thread.join(_HANGS_AFTER_S)
    assert not thread.is_alive()
    return 0


HANDLERS = [
    close, record, record_what_is_not_valid, remove_the_journal, record_in_a_thread, close_in_a_thread,
]  # fmt: skip


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("call", [milestone, claim])
def test_a_handler_at_any_place_loses_nothing(
    tmp_path: Path, call: Call, handler: Callable[[Recorder], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "collect_own", lambda *_, **__: None)
    monkeypatch.setattr(turns, "WAIT_S", 0.001)
    for module in (event_writer, line_encoding, start_templates):
        monkeypatch.setattr(module, "pydantic_guard", ForkGuard())
    number = 0
    while acknowledged_and_found(tmp_path / f"{number}.db", call, handler, number):
        number += 1
    assert number > 50


class Stop(Exception):
    """What a signal handler of the host's raises."""


def stop(recorder: Recorder) -> int:
    raise Stop


@pytest.mark.parametrize("call", [milestone, claim])
def test_a_handler_that_raises_at_any_place_gets_through_and_leaves_the_recorder_whole(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "collect_own", lambda *_, **__: None)
    monkeypatch.setattr(turns, "WAIT_S", 0.001)
    for module in (event_writer, line_encoding, start_templates):
        monkeypatch.setattr(module, "pydantic_guard", ForkGuard())
    number, did_run = 0, True
    while did_run:
        path = tmp_path / f"{number}.db"
        recorder = Recorder.open(path)
        recorder.milestone("first")
        interruption = Interruption(number, lambda: stop(recorder))  # noqa: B023
        with suppress(Stop):
            did_run = interruption.during(lambda: call(recorder))  # noqa: B023
            assert not did_run, f"place {number}"
        record_in_a_thread(recorder)
        recorder.close()
        events = events_in(path)
        names = [event.name for event in events if isinstance(event, MilestoneReached)]
        assert [name for name in names if name != "called"] == ["first", "handler"], f"place {number}"
        counted = sum(event.count for event in events if isinstance(event, GapNoted))
        assert max(event.seq for event in events) + 1 - len(events) <= counted <= 1, f"place {number}"
        number += 1
    assert number > 30
