"""Tells exceptions of the host's, which have to get through, from those that recording must not let out."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Final

_OURS: "Final" = ("ledger", "ledger_birth")
_PANIC: "Final" = "PanicException"
"""What pydantic raises where it fails itself: no subclass of Exception."""


def is_hosts_own(error: BaseException) -> bool:
    """Return whether an exception only met a call of ours, and would have come without it.

    So does what a signal handler raises, an interrupt from the keyboard, and what another thread throws into
    this one. Everything else is about what we were given, or is our own.
    """
    if isinstance(error, KeyboardInterrupt):
        return True
    trace, frame = error.__traceback__, None
    while trace is not None:
        frame, trace = trace.tb_frame, trace.tb_next
        if _handles_signal(frame):
            return True
    if isinstance(error, Exception) or type(error).__name__ == _PANIC:
        return False
    # Not even `exit` is any business of an object that was only to be written down.
    return frame is None or str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS


def _handles_signal(frame: "FrameType") -> bool:
    """Return whether a frame is a signal handler's: it is given the frame that it interrupts."""
    interrupted = frame.f_back
    if interrupted is None:
        return False
    for value in frame.f_locals.values():
        if value is interrupted or (type(value) is tuple and any(one is interrupted for one in value)):  # pyright: ignore
            return True
    return False
