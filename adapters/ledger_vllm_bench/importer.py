"""Imports a result of `vllm bench startup`: a session for each start, or for each kind of a printed one's."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue

from ledger import Event, GapNoted, ProcessJoined, ProcessLeft, SessionEnded, SessionStarted, TotalClaimed
from ledger.adapters import Importer, UnreadLine
from ledger_vllm_bench.results import METRICS, Reported, Result, of_json, of_text

_TITLE: Final = b"STARTUP TIME BENCHMARK RESULTS"
_JSON_KEY: Final = re.compile(rb'"(?:cold|warm)_(?:startup|compilation|encoder_compilation)_times" ?:')
_LOGGED: Final = re.compile(rb"(?:INFO|WARNING) \d\d-\d\d \d\d:\d\d:\d\d ")
"""With the engines' own lines around it, it is a log."""
_OTHER_RESULT: Final = re.compile(
    rb'"(?:avg_latency|mean_ttft_ms|tokens_per_second)" ?:|Serving Benchmark Result|Avg latency: '
)
_OF_REQUESTS: Final = (
    "no start-up times: a result of vllm bench about requests; `vllm bench startup` times starts, and the "
    "log of the server that was measured says how it started"
)
_MAX_BYTES: Final = 1 << 26
_ROLES: Final = {"compilation": "language_model", "encoder_compilation": "encoder"}
_NO_STAMPS: Final = (
    "no time stamps: a result of vllm bench startup has durations only, which are claims without intervals; "
    "the log of the same run has stamps"
)


class BenchImporter:
    """Reads what `vllm bench startup` printed or wrote as JSON, also in a sweep or for PyTorch's database."""

    name = "a result of vllm bench startup"

    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether the beginning of a file is a result's, printed or as JSON."""
        is_json = head.lstrip()[:1] in (b"{", b"[") and _JSON_KEY.search(head) is not None
        return b"\0" not in head and (is_json or (_TITLE in head and _LOGGED.search(head) is None))

    def what_is_missing(self, head: bytes) -> str | None:
        """Return what a result of another benchmark of vLLM's lacks."""
        return _OF_REQUESTS if _OTHER_RESULT.search(head) is not None else None

    def size(self, path: Path) -> int:
        """Return the file's size, which `read` reports."""
        return path.stat().st_size

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        """Yield the claims of a result."""
        size = path.stat().st_size
        with path.open("rb") as file:
            text = file.read(min(size, _MAX_BYTES))
        progress(size)
        results = of_json(text)
        if results is None:
            results = [Result("", list(of_text(text.decode(errors="replace").splitlines())), {})]
        if not any(result.reported for result in results):
            yield UnreadLine(1, "no durations: neither times by start nor averages in it", "")
        digest = hashlib.sha256(text).hexdigest()[:16]
        for number, result in enumerate(results):
            groups: defaultdict[tuple[str, int | None], list[Reported]] = defaultdict(list)
            for reported in result.reported:
                groups[reported.phase, reported.start].append(reported)
            for (phase, start), group in groups.items():
                which = phase if start is None else f"{phase}-{start + 1}"
                session = f"bench-{digest}-{which}" if number == 0 else f"bench-{digest}-{number + 1}-{which}"
                yield from _events(session, f"{result.name} {which}".strip(), group, result.parameters)


def importer() -> Importer:
    """Return the importer, for the entry point."""
    return BenchImporter()


def _events(
    session: str, label: str, reported: list[Reported], parameters: dict[str, JsonValue]
) -> Iterator[Event]:
    def key(seq: int) -> dict[str, Any]:
        return {"session": session, "process": "benchmark", "seq": seq, "at_ns": 0}

    yield SessionStarted(**key(0), label=label)
    yield ProcessJoined(**key(1), name="benchmark")
    yield GapNoted(**key(2), what="time_stamps", detail=_NO_STAMPS)
    for number, one in enumerate(reported):
        data: dict[str, JsonValue] = {} if one.of_all is None else {"of_all_starts": one.of_all}
        if parameters:
            data["parameters"] = parameters
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
            data=data or None,
        )
    # vLLM reports nothing at all where one of the starts failed.
    ended = 3 + len(reported)
    yield SessionEnded(**key(ended), outcome="completed")
    yield ProcessLeft(**key(ended + 1), outcome="completed", event_count=ended + 2)
