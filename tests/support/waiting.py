"""Waiting for what another process does. The deadline is against hanging alone; nothing is timed by it."""

import time
from collections.abc import Callable
from typing import Final

DEADLINE_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.0002


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Look until it is so; fail, saying what was waited for, where it never is."""
    end = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(_LOOK_EVERY_S)
