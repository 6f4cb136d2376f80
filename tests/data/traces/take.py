"""Takes the kept traces anew, with the torch that runs this: `python tests/data/traces/take.py`.

    block/      a transformer block, inductor, its C++ compiles on four threads; beside it what the live
                recorder saw of the same run, `live.json`: stage, thread, start and duration in ns
    ranks/      the small model, backend `aot_eager`, two processes of one group

Kept of a trace are the records that speak of time, torch's version and one other; whole configurations and
stack traces are cut out, and paths, so the checksums are made anew.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ledger import Ledger

HERE = Path(__file__).parent
LEFT_OUT = re.compile(
    r"config|stack_trace|filename|key|components|inductor_provenance|node_shapes|feature_usage"
)


INTERVALS = """
    SELECT stage, thread, start_ns - (SELECT min(start_ns) FROM intervals) AS start_ns, duration_ns
    FROM intervals ORDER BY start_ns
"""


def run(folder: Path, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start the program with its trace in `folder`."""
    known = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache"), "TORCHINDUCTOR_COMPILE_THREADS": "4"}
    trace = {"TORCH_TRACE": str(folder / "trace")}
    command = [sys.executable, str(HERE / "compiled.py"), *arguments]
    return subprocess.Popen(command, env={**known, **cache, **trace, **environment}, cwd=folder)


def records(text: str) -> list[tuple[str, dict[str, Any], str | None]]:
    """Return each record's prefix, metadata and payload."""
    found: list[tuple[str, dict[str, Any], str | None]] = []
    for record in re.split(r"\n(?!\t)", text.removesuffix("\n")):
        head, tab, payload = record.partition("\n\t")
        prefix, _, metadata = head.partition("] ")
        found.append((prefix, json.loads(metadata), payload.replace("\n\t", "\n") if tab else None))
    return found


def slim(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and not LEFT_OUT.search(name)}


PATH = re.compile(r"(?<![\w.])(/[\w.@+-]+)+/")


def blotted(text: str) -> str:
    """Return a trace with what speaks of time, and without what speaks of the machine."""
    kept: list[str] = []
    others = 0
    for prefix, metadata, payload in records(text):
        kind = next(iter(metadata))
        if kind == "chromium_event" and payload is not None:
            event = json.loads(payload)
            event["args"] = slim(event["args"])
            payload = json.dumps(event, indent=0)
        elif kind.endswith("compilation_metrics"):
            metadata[kind] = slim(metadata[kind])
            metadata[kind]["python_version"] = metadata[kind]["python_version"].split()[0]
        elif kind == "aot_forward_graph" and not others:
            others += 1
        elif metadata[kind] != {"name": "torch_version", "encoding": "json"}:
            continue
        if payload is not None:
            payload = PATH.sub("", payload)
            metadata["has_payload"] = hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()
        record = f"{prefix}] {PATH.sub('', json.dumps(metadata))}"
        kept.append(record if payload is None else record + "\n\t" + payload.replace("\n", "\n\t"))
    found = "\n".join(kept) + "\n"
    assert not PATH.search(found), "a path of this machine"
    return found


def keep(trace: Path, name: str) -> None:
    """Replace the folder `name` by the traces in another one."""
    shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / name).mkdir()
    for number, file in enumerate(sorted(trace.glob("*.log"))):
        # mkstemp's letters say nothing.
        letters = "abcdefgh"[number] * 8
        target = re.sub(r"(?<=torch_trace_)(rank_\d+_)?.*", rf"\g<1>{letters}.log", file.name)
        (HERE / name / target).write_text(blotted(file.read_text()))


def main() -> None:
    """Take both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        block = run(folder, ["inductor", "block"], {"COMPILE_LEDGER": str(folder / "live.db")})
        assert block.wait() == 0
        keep(folder / "trace", "block")
        with Ledger.open(folder / "live.db") as live:
            seen = live.sql(INTERVALS)
        text = ",\n".join(json.dumps(list(row.values())) for row in seen)
        (HERE / "block" / "live.json").write_text(f"[\n{text}\n]\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        group = {"GROUP": str(folder / "group"), "WORLD_SIZE": "2"}
        ranks = [run(folder, ["aot_eager", "small"], {**group, "RANK": str(rank)}) for rank in range(2)]
        assert [rank.wait() for rank in ranks] == [0, 0]
        keep(folder / "trace", "ranks")


if __name__ == "__main__":
    main()
