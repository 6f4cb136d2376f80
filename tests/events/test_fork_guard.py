"""Calls during which no other thread forks."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from ledger.events.fork_guard import ForkGuard
from ledger_birth.turns import WAIT_S
from tests.support.processes import Spawn, exit_code

_GUARD = ForkGuard()
"""One for all tests: what runs at a fork can't be taken back."""


def in_a_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=_GUARD.call, args=(call,))
    thread.start()
    return thread


def test_a_fork_waits_for_another_threads_call(spawn: Spawn) -> None:
    begun, done = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        time.sleep(0.1)
        done.set()

    thread = in_a_thread(call)
    begun.wait()

    def child() -> None:
        assert done.is_set()
        assert _GUARD.call(int, "1") == 1

    assert exit_code(spawn(child)) == 0
    thread.join()
    assert _GUARD.call(int, "1") == 1


def is_free() -> bool:
    """Return whether another thread gets its turn at once."""
    began = time.monotonic()
    in_a_thread(lambda: None).join()
    return time.monotonic() - began < WAIT_S / 2


def test_a_fork_in_a_call_of_the_same_thread_leaves_the_guard_free_in_both() -> None:
    pid = _GUARD.call(_GUARD.call, os.fork)
    if pid == 0:
        os._exit(0 if is_free() else 1)
    assert exit_code(pid) == 0
    assert is_free()


def test_a_call_that_forks_goes_on_in_the_child(spawn: Spawn) -> None:
    pids: list[int] = []

    def child() -> None:
        _GUARD.call(lambda: pids.append(spawn(lambda: _GUARD.call(int))))
        assert exit_code(pids.pop()) == 0

    assert exit_code(spawn(child)) == 0


def test_a_fork_gives_up_on_a_call_that_waits_for_it(spawn: Spawn, capfd: pytest.CaptureFixture[str]) -> None:
    begun, forked = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        forked.wait(30)

    thread = in_a_thread(call)
    begun.wait()

    def child() -> None:
        began = time.monotonic()
        assert _GUARD.call(int, "1") == 1
        assert time.monotonic() - began < WAIT_S / 2

    pid = spawn(child)
    forked.set()
    thread.join()
    assert exit_code(pid) == 0
    assert _GUARD.call(int, "1") == 1
    assert capfd.readouterr().err == ""


def test_a_call_that_waited_in_vain_is_made_and_the_next_one_waits_no_more() -> None:
    begun, over = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        over.wait(30)

    thread = in_a_thread(call)
    begun.wait()
    began = time.monotonic()
    assert [_GUARD.call(int, str(number)) for number in range(10)] == list(range(10))
    assert time.monotonic() - began < 2 * WAIT_S
    over.set()
    thread.join()


def test_what_a_call_raises_gets_out_and_the_guard_is_free() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        _GUARD.call(int, "one")
    assert is_free()
