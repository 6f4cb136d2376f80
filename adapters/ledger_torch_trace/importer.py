"""Imports TORCH_TRACE output: all trace files of a folder become one session."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ledger import Event
from ledger.adapters import Importer, UnreadLine
from ledger_torch_trace.observations import Fault, Observation, observations
from ledger_torch_trace.process import TracedProcess
from ledger_torch_trace.records import SPAN, Raw, chunks, is_trace, parse, split
from ledger_torch_trace.survey import Survey, survey
from ledger_torch_trace.window import in_order

_FILES: Final = "dedicated_log_torch_trace_*.log"
_HEAD_BYTES: Final = 4_096
_SURVEY_SPEEDUP: Final = 4
"""Surveying is this much faster than reading, so its bytes count that much less in the progress."""
_MAX_TEXT: Final = 2_000
"""Characters kept of a record that could not be read."""
_NO_TIMES: Final = (
    "no times: a trace without a compile's begin, end or metrics, such as torch.export writes; "
    "`compile-ledger record -- COMMAND` sees those compiles too"
)


class TorchTraceImporter:
    """Reads the files that torch writes under TORCH_TRACE: each is a process, a folder of them a session."""

    name = "a TORCH_TRACE log or folder"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a path is a trace or a folder of traces; `head` is the beginning of a file."""
        return is_trace(head) if head else any(is_trace(_head(file)) for file in _files(path))

    def size(self, path: Path) -> int:
        """Return the bytes that `read` reports: each trace's size, and a fraction of it for the digest."""
        sizes = [_size(file) for file in _files(path)]
        return sum(size + size // _SURVEY_SPEEDUP for size in sizes)

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the events of one session. Each trace is read twice, first for its digest.

        A session's id comes from the content of its traces. Where there are several, the reason of an unread
        line has the name of its file.
        """
        surveys: dict[str, Survey] = {}
        files = _files(path)
        for file in files:
            try:
                surveyed = survey(file, lambda read: progress(read // _SURVEY_SPEEDUP))
            except OSError as error:
                yield UnreadLine(1, f"{file.name}: {error.strerror or error}", "")
                continue
            if surveyed.process in surveys:  # a copy of another trace: the same process
                progress(surveyed.size)
            surveys.setdefault(surveyed.process, surveyed)
        traces = sorted(surveys.values(), key=lambda trace: (trace.digest, trace.process))
        digest = hashlib.sha256("".join(trace.digest for trace in traces).encode()).hexdigest()
        for trace in traces:
            where = f"{trace.path.name}: " if len(files) > 1 else ""
            process = TracedProcess(f"trace-{digest[:16]}", trace)
            is_empty = True
            try:
                for observation in in_order(_observations(trace, progress, where)):
                    is_empty = False
                    if isinstance(observation, UnreadLine):
                        yield observation
                    else:
                        yield from process.events(observation)
                if is_empty and trace.size:
                    yield UnreadLine(1, where + _NO_TIMES, "")
            except OSError as error:
                yield UnreadLine(1, f"{where}{error.strerror or error}", "")
            yield from process.rest()


def importer() -> Importer:
    """Return the importer, for the entry point."""
    return TorchTraceImporter()


def _observations(
    surveyed: Survey, progress: Callable[[int], None], where: str
) -> Iterator[Observation | UnreadLine]:
    latest_ns, has_spans = 0, False
    for raw in split(chunks(surveyed.path, surveyed.size, progress)):
        record = parse(raw)
        if record is None:
            if raw.text.strip():
                yield _unread(raw, "not a torch record", where)
            continue
        if raw.is_too_long:
            if record.is_about_time:
                yield _unread(raw, "a torch record about time, but too long to be read", where)
            continue
        has_spans = has_spans or record.kind == SPAN
        for observation in observations(record, latest_ns, has_spans=has_spans):
            if isinstance(observation, Fault):
                yield _unread(raw, observation.reason, where)
            else:
                latest_ns = max(latest_ns, observation.at_ns)
                yield observation


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
