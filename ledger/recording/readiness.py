"""Tells adapters that a process's start is over: an engine is often killed, and calls nothing at its end."""

from collections.abc import Callable

_callbacks: dict[Callable[[], object], None] = {}


def when_ready(callback: Callable[[], object]) -> None:
    """Have a callback called each time that a part of this process has started, to record what it knows.

    It must raise nothing.
    """
    _callbacks[callback] = None


def process_ready() -> None:
    """Say that what runs in this process has started: for the adapter of an engine or of its workers."""
    for callback in list(_callbacks):
        callback()
