"""Imports a result of `vllm bench startup`: a session for each start, or for each kind of a printed one's."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ledger import Event, GapNoted, ProcessJoined, ProcessLeft, SessionEnded, SessionStarted, TotalClaimed
from ledger.adapters import Importer, UnreadLine
from ledger_vllm_bench.results import METRICS, Reported, of_json, of_text

_TITLE: Final = b"STARTUP TIME BENCHMARK RESULTS"
_JSON_KEY: Final = b'"cold_startup_times"'
_LOGGED: Final = re.compile(rb"(?:INFO|WARNING) \d\d-\d\d \d\d:\d\d:\d\d ")
"""With the engines' own lines around it, it is a log."""
_MAX_BYTES: Final = 1 << 26
_ROLES: Final = {"compilation": "language_model", "encoder_compilation": "encoder"}
_NO_STAMPS: Final = (
    "no time stamps: a result of vllm bench startup has durations only, which are claims without intervals; "
    "the log of the same run has stamps"
)


class BenchImporter:
    """Reads what `vllm bench startup` printed, or wrote with `--output-json`."""

    name = "a result of vllm bench startup"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the beginning of a file is a result's, printed or as JSON."""
        is_json = head.lstrip().startswith(b"{") and _JSON_KEY in head
        return b"\0" not in head and (is_json or (_TITLE in head and _LOGGED.search(head) is None))

    def size(self, path: Path) -> int:
        """Return the file's size, which `read` reports."""
        return path.stat().st_size

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the claims of a result."""
        size = path.stat().st_size
        with path.open("rb") as file:
            text = file.read(min(size, _MAX_BYTES))
        progress(size)
        found = of_json(text)
        if found is None:
            found = list(of_text(text.decode(errors="replace").splitlines()))
        if not found:
            yield UnreadLine(1, "no durations: neither times by start nor averages in it", "")
        groups: defaultdict[tuple[str, int | None], list[Reported]] = defaultdict(list)
        for reported in found:
            groups[reported.phase, reported.start].append(reported)
        digest = hashlib.sha256(text).hexdigest()[:16]
        for (phase, start), group in groups.items():
            which = phase if start is None else f"{phase}-{start + 1}"
            yield from _events(f"bench-{digest}-{which}", which, group)


def importer() -> Importer:
    """Return the importer, for the entry point."""
    return BenchImporter()


def _events(session: str, label: str, reported: list[Reported]) -> Iterator[Event]:
    def key(seq: int) -> dict[str, Any]:
        return {"session": session, "process": "benchmark", "seq": seq, "at_ns": 0}

    yield SessionStarted(**key(0), label=label)
    yield ProcessJoined(**key(1), name="benchmark")
    yield GapNoted(**key(2), what="time_stamps", detail=_NO_STAMPS)
    for number, one in enumerate(reported):
        yield TotalClaimed(
            **key(3 + number),
            claim=number,
            counts="total" if one.of_all is None else "interval",
            source="engine" if one.metric == "startup" else "monitor",
            role=_ROLES.get(one.metric),
            stage=METRICS[one.metric],
            claimed_ns=round(one.seconds * 1e9),
            resolution_ns=one.resolution_ns,
            text=one.text,
            data=None if one.of_all is None else {"of_all_starts": one.of_all},
        )
    # vLLM reports nothing at all where one of the starts failed.
    ended = 3 + len(reported)
    yield SessionEnded(**key(ended), outcome="completed")
    yield ProcessLeft(**key(ended + 1), outcome="completed", event_count=ended + 2)
