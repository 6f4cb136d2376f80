"""Ids of traces and spans, made from what they stand for: a session that is sent twice is the same spans."""

from hashlib import blake2b
from typing import Final

from opentelemetry.trace import SpanContext, TraceFlags

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8


def session_context(session: str) -> SpanContext:
    """Return the context of a session's root span. The trace is the session."""
    return _context(session, "session")


def process_context(session: str, process: str) -> SpanContext:
    """Return the context of a process's span."""
    return _context(session, "process", process)


def interval_context(session: str, process: str, interval: int) -> SpanContext:
    """Return the context of an interval's span."""
    return _context(session, "interval", process, str(interval))


def claim_context(session: str, process: str, claim: int, number: int) -> SpanContext:
    """Return the context of a claim's span; `number` counts from 0 the claims of that id, kept all."""
    return _context(session, "claim", process, str(claim), str(number))


def _context(session: str, *name: str) -> SpanContext:
    trace = _hash(_TRACE_BYTES, session)
    return SpanContext(trace, _hash(_SPAN_BYTES, session, *name), False, TraceFlags(TraceFlags.SAMPLED))


def _hash(size: int, *texts: str) -> int:
    # Each text with its length: ("a", "bc") and ("ab", "c") are two things.
    hashed = blake2b(digest_size=size, person=b"compile-ledger")
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        hashed.update(len(content).to_bytes(8, "big") + content)
    # 0 is no valid id.
    return int.from_bytes(hashed.digest(), "big") or 1
