"""Whose an exception is that comes up in a call of the recorder's."""

import functools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from ledger import GapNoted, Recorder
from tests.support.journals import recorded


class OddError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Odd:
    """An object of which nothing can be had."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def fail(self, *_: object) -> object:
        raise self.error

    __str__ = __repr__ = __mul__ = __rmul__ = __eq__ = __hash__ = __lt__ = __int__ = __index__ = fail  # type: ignore[assignment]
    __iter__ = __len__ = __bool__ = __float__ = __round__ = __format__ = __getitem__ = fail  # type: ignore[assignment]


class Stop(Exception):
    """What a host's signal handler raises: a time limit, for one."""


def handler_of_its_own(_: int, __: FrameType | None) -> None:
    raise Stop


class Handler:
    def __call__(self, *_: object) -> None:
        raise Stop


HANDLERS = [
    handler_of_its_own,
    functools.partial(lambda _number, _signal, _frame: handler_of_its_own(0, None), 1),
    Handler(),
]
PANIC = type("PanicException", (BaseException,), {})("as pydantic raises")
ODD = [ValueError("odd"), OddError(), SystemExit(3), GeneratorExit(), PANIC]


@pytest.fixture
def alarm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def calls(recorder: Recorder, odd: object) -> list[Callable[[], object]]:
    """Return every call of the recorder's that takes an object, with an odd one."""
    anything: object = odd
    return [
        lambda: recorder.start(anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", role=anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", component=anything, activity=anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", source=anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", parent=anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", data=anything),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", data={"a": anything}),
        lambda: recorder.start("dynamo", at_ns=anything),  # type: ignore[arg-type]
        lambda: recorder.stop(anything),  # type: ignore[arg-type]
        lambda: recorder.stop(0, outcome=anything),  # type: ignore[arg-type]
        lambda: recorder.stop(0, error=anything),  # type: ignore[arg-type]
        lambda: recorder.stop(0, data={"a": anything}),
        lambda: recorder.stop(0, at_ns=anything),  # type: ignore[arg-type]
        lambda: recorder.claim(anything, source="log"),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source=anything),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", text=anything),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", interval=anything),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", resolution_ns=anything),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", data={"a": anything}),
        lambda: recorder.milestone(anything),  # type: ignore[arg-type]
        lambda: recorder.gap(anything),  # type: ignore[arg-type]
        lambda: recorder.gap("dropped", count=anything),  # type: ignore[arg-type]
        lambda: recorder.gap("dropped", detail=anything),  # type: ignore[arg-type]
        lambda: recorder.hook_missing("dynamo", anything),  # type: ignore[arg-type]
        lambda: recorder.name_process(anything),  # type: ignore[arg-type]
    ]  # fmt: skip


@pytest.mark.parametrize("error", ODD, ids=[type(error).__name__ for error in ODD])
def test_nothing_that_an_argument_raises_gets_out_and_each_is_counted(
    path: Path, recorder: Recorder, error: BaseException
) -> None:
    recorder.milestone("before")
    for number, call in enumerate(calls(recorder, Odd(error))):
        before = sum(event.count for event in recorded(path) if isinstance(event, GapNoted))
        call()
        events = recorded(path)
        counted = sum(event.count for event in events if isinstance(event, GapNoted)) - before
        kinds = [event.kind for event in events[1:]]
        assert counted == 1 or kinds[-1] != "gap_noted", (number, kinds)
    for odd in (Odd(error),):
        with recorder.stage(odd), recorder.role(odd):  # type: ignore[arg-type]
            recorder.start("dynamo")
        recorder.add_hook(odd)  # type: ignore[arg-type]
    recorder.milestone("after")
    recorded(path)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("handler", HANDLERS, ids=["function", "partial", "object"])
def test_what_a_signal_handler_raises_reaches_the_host(
    recorder: Recorder, handler: Callable[[int, FrameType | None], None]
) -> None:
    signal.signal(signal.SIGALRM, handler)
    met = 0
    for _ in range(200):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            while True:
                recorder.claim(1.0, source="log", data={"a": [1, 2, 3]})
        except Stop:
            met += 1
    assert met == 200
