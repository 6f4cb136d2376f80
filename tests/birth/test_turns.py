"""Turns of threads: what a thread gets that asks for one while another has it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ledger_birth import turns
from ledger_birth.turns import Busy, Turns


@contextmanager
def held_by_another_thread(made: Turns) -> Iterator[threading.Event]:
    """Another thread has its turn, until the event is set that this yields."""
    begun, is_to_end = threading.Event(), threading.Event()

    def hold() -> None:
        with made.waiting:
            begun.set()
            is_to_end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    begun.wait()
    try:
        yield is_to_end
    finally:
        is_to_end.set()
        thread.join()


def test_a_turn_may_begin_again_inside_of_its_own() -> None:
    made = Turns()
    with made.waiting, made.waiting, made.at_once:
        pass
    with held_by_another_thread(made):
        pass


def test_a_turn_is_waited_for_until_the_other_ends() -> None:
    made = Turns()
    with held_by_another_thread(made) as is_to_end:
        threading.Timer(0.05, is_to_end.set).start()
        began_s = time.monotonic()
        with made.waiting:
            assert time.monotonic() - began_s >= 0.04
    with made.at_once:
        pass


def test_who_waits_too_long_gives_up_and_gets_a_later_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAIT_S", 0.02)
    made = Turns()
    with held_by_another_thread(made):
        for _ in range(2):
            with pytest.raises(Busy), made.waiting:
                pass
            with pytest.raises(Busy), made.at_once:
                pass
    with made.waiting, made.at_once:
        pass
    with held_by_another_thread(made):
        pass
