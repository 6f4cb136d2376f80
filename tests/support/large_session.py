"""A session as large as somebody asks: 8 processes or 20,000, with as many events in each as memory is for.

Its journals are written line by line, so that a test of memory needs none itself. The stages nest as torch's
do, a part of them with a role, a thread of their own, or data; each process makes some claims.
"""

import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SESSION: Final = "20261128-100000-ab12cd34"
_WALL_NS: Final = 1_800_000_000_000_000_000
_DEEPEST: Final = 15
_STAGES: Final = 300
_CLAIMS: Final = 50
_THREADS: Final = ("MainThread", "MainThread", "compile-worker-1")


def write_large_session(ledger: Path, processes: int, events: int) -> None:
    """Write the journals of a session that a collector takes into `ledger`, all of its processes gone."""
    folder = ledger.with_name(f"{ledger.name}.journal")
    folder.mkdir(mode=0o700)
    for number in range(processes):
        with (folder / f"{process_id(number)}.jsonl").open("w", encoding="ascii") as journal:
            journal.writelines(_lines(number, events))


def process_id(number: int) -> str:
    """Return the id of a process, by its number."""
    return f"{1_000 + number}-{number:08x}"


def _lines(number: int, events: int) -> Iterator[str]:
    chance = random.Random(number)
    key = f'"session":"{SESSION}","process":"{process_id(number)}"'
    name = "EngineCore" if number == 0 else f"Worker_TP{number - 1}"
    rank = "" if number == 0 else f'"rank":{number - 1},'
    yield (
        f'{{"kind":"process_joined",{key},"seq":0,"at_ns":0,"name":"{name}",{rank}"pid":{1_000 + number},'
        f'"pid_start":0,"parent_pid":{1_000 if number else 1},'
        f'"host":"{socket.gethostname()}","boot_id":"b","wall_ns":{_WALL_NS},"hooks":[],"missing_hooks":[]}}\n'
    )
    at_ns, seq, interval = 0, 1, 0
    stack: list[int] = []
    claims = max(1, min(_CLAIMS, events // 10))
    intervals = max(1, (events - claims - 3) // 2)
    while interval < intervals or stack:
        at_ns += chance.randrange(1, 100_000)
        if interval < intervals and (not stack or (len(stack) < _DEEPEST and chance.random() < 0.52)):
            about = f'"stage":"stage_{interval % _STAGES}","activity":"compile","source":"torch"'
            thread = _THREADS[interval % len(_THREADS)] if stack else _THREADS[0]
            parent = f',"parent":{stack[-1]}' if stack else ',"role":"encoder"'
            data = f',"data":{{"compile_id":"{interval % 7}/0"}}' if interval % 5 == 0 else ""
            yield (
                f'{{"kind":"stage_started",{key},"seq":{seq},"at_ns":{at_ns},"interval":{interval},'
                f'{about},"thread":"{thread}"{parent}{data}}}\n'
            )
            stack.append(interval)
            interval += 1
        else:
            yield (
                f'{{"kind":"stage_stopped",{key},"seq":{seq},"at_ns":{at_ns},"interval":{stack.pop()},'
                '"outcome":"completed"}\n'
            )
        seq += 1
    for claim in range(claims):
        yield (
            f'{{"kind":"total_claimed",{key},"seq":{seq},"at_ns":{at_ns},"claim":{claim},"counts":"total",'
            f'"source":"engine","role":"encoder","stage":"torch_compile","claimed_ns":{at_ns // 2},'
            '"resolution_ns":10000000}\n'
        )
        seq += 1
    yield f'{{"kind":"milestone_reached",{key},"seq":{seq},"at_ns":{at_ns},"name":"engine_ready"}}\n'
    yield (
        f'{{"kind":"process_left",{key},"seq":{seq + 1},"at_ns":{at_ns + 1},"outcome":"completed",'
        f'"event_count":{seq + 2}}}\n'
    )


if __name__ == "__main__":
    write_large_session(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
