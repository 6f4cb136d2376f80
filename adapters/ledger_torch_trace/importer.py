"""The importer of TORCH_TRACE: which files are traces, and one session of all that lie in one folder."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ledger import Event, Importer, UnreadLine
from ledger_torch_trace.observations import Fault, Observation, observations
from ledger_torch_trace.process import TracedProcess
from ledger_torch_trace.records import Raw, chunks, is_trace, parse, split
from ledger_torch_trace.survey import Survey, survey
from ledger_torch_trace.window import in_order

_FILES: Final = "dedicated_log_torch_trace_*.log"
_HEAD_BYTES: Final = 4_096
_SURVEYED_AT_ONCE: Final = 4
"""So much faster is the first look at a trace: its bytes count for so much less, and a bar goes evenly."""
_MAX_TEXT: Final = 2_000
"""Characters that are kept of what could not be read."""


class TorchTraceImporter:
    """Reads the files that torch writes under TORCH_TRACE: each is a process, a folder of them a session."""

    name = "a trace of torch's, or a folder of them"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Tell whether a path is a trace or a folder of traces; `head` is the beginning of a file."""
        return is_trace(head) if head else any(is_trace(_head(file)) for file in _files(path))

    def size(self, path: Path) -> int:
        """Return the traces' sizes, and a part of each: it is read for its digest, then for its records."""
        sizes = [_size(file) for file in _files(path)]
        return sum(size + size // _SURVEYED_AT_ONCE for size in sizes)

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the events of one session: each trace's twice read, once for its digest.

        A session is known by the content of its traces. Where there are several, what could not be read has
        the name of its file in the reason.
        """
        surveys: dict[str, Survey] = {}
        files = _files(path)
        for file in files:
            try:
                known = survey(file, lambda read: progress(read // _SURVEYED_AT_ONCE))
            except OSError as error:
                yield UnreadLine(1, f"{file.name}: {error.strerror or error}", "")
                continue
            if known.process in surveys:  # a copy of a trace beside it, which is the same process
                progress(known.size)
            surveys.setdefault(known.process, known)
        traces = sorted(surveys.values(), key=lambda known: (known.digest, known.process))
        digest = hashlib.sha256("".join(known.digest for known in traces).encode()).hexdigest()
        for known in traces:
            where = f"{known.path.name}: " if len(files) > 1 else ""
            process = TracedProcess(f"trace-{digest[:16]}", known)
            try:
                for seen in in_order(_observations(known, progress, where)):
                    if isinstance(seen, UnreadLine):
                        yield seen
                    else:
                        yield from process.events(seen)
            except OSError as error:
                yield UnreadLine(1, f"{where}{error.strerror or error}", "")
            yield from process.rest()


def importer() -> Importer:
    """Return the importer: what the entry point names."""
    return TorchTraceImporter()


def _observations(
    known: Survey, progress: Callable[[int], None], where: str
) -> Iterator[Observation | UnreadLine]:
    latest_ns = 0
    for raw in split(chunks(known.path, known.size, progress)):
        record = parse(raw)
        if record is None:
            if raw.text.strip():
                yield _unread(raw, "not a record of torch's", where)
            continue
        if raw.is_too_long:
            if record.speaks_of_time:
                yield _unread(raw, "too long for a record of torch's that speaks of time", where)
            continue
        for seen in observations(record, latest_ns):
            if isinstance(seen, Fault):
                yield _unread(raw, seen.reason, where)
            else:
                latest_ns = max(latest_ns, seen.at_ns)
                yield seen


def _unread(raw: Raw, reason: str, where: str) -> UnreadLine:
    return UnreadLine(raw.line, where + reason, raw.text[:_MAX_TEXT].decode(errors="replace"))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        return sorted(file for file in path.glob(_FILES) if file.is_file())
    except OSError:
        return []


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_HEAD_BYTES)
    except OSError:
        return b""


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
