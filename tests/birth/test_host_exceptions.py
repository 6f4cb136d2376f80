"""Whose an exception is that comes up in a call of the recorder's."""

import functools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from ledger import GapNoted, Recorder
from tests.support.journals import recorded
from tests.support.odd_arguments import ERRORS, Odd, odd_calls


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


@pytest.fixture
def alarm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("error", ERRORS, ids=[type(error).__name__ for error in ERRORS])
def test_nothing_that_an_argument_raises_gets_out_and_each_is_counted(
    path: Path, recorder: Recorder, error: BaseException
) -> None:
    recorder.milestone("before")
    for number, call in enumerate(odd_calls(recorder, Odd(error))):
        before = len(recorded(path))
        call()
        events = recorded(path)[before:]
        # Some are written as text, such as an object in `data`; of the others each is one gap.
        assert len(events) == 1, (number, events)
        assert not isinstance(events[0], GapNoted) or events[0].count == 1
    odd = Odd(error)
    with recorder.stage(odd), recorder.role(odd):  # type: ignore[arg-type]
        recorder.start("dynamo")
    recorder.milestone("after")
    recorded(path)


@pytest.mark.usefixtures("alarm")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("handler", HANDLERS, ids=["function", "partial", "object"])
def test_what_a_signal_handler_raises_reaches_the_host(
    recorder: Recorder, handler: Callable[[int, FrameType | None], None]
) -> None:
    recorder.milestone("the journal is open")
    signal.signal(signal.SIGALRM, handler)
    met = 0
    for _ in range(200):
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            for _ in range(20_000):  # many more than are made until then
                recorder.claim(1.0, source="log", data={"a": [1, 2, 3]})
        except Stop:
            met += 1
    assert met >= 198  # Python itself drops what is raised where it can't, as in a callback of its collector
