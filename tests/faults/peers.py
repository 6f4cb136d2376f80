"""What is left of 200 spans after SIGKILL, a fork, and a full disk: of ours, and of others' tools.

`python -m tests.faults.peers` prints the table that docs/guarantees.md has. Each tool is used as its
documentation says, with what it writes going to a file. The disk is full after half of the spans: no file can
grow any more.
"""

import argparse
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from ledger import Ledger, Recorder

SPANS: Final = 200

Span = Callable[[str], AbstractContextManager[Any]]
Tool = Callable[[Path], Iterator[Span]]


def ours(folder: Path) -> Iterator[Span]:
    """Record into a ledger."""
    recorder = Recorder.open(folder / "startup.db")
    yield lambda name: recorder.stage(name, source="user")
    recorder.close()


def opentelemetry(folder: Path) -> Iterator[Span]:
    """Export in batches, as its documentation recommends, to a file."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    provider = TracerProvider()
    with (folder / "spans.json").open("a") as file:
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=file)))
        yield provider.get_tracer("peers").start_as_current_span
        provider.shutdown()


def viztracer(folder: Path) -> Iterator[Span]:
    """Trace, and save at the end."""
    from viztracer import VizTracer

    tracer = VizTracer(output_file=str(folder / "trace.json"), verbose=0)
    tracer.start()
    yield tracer.log_event
    tracer.stop()
    tracer.save(str(folder / f"trace-{os.getpid()}.json"))


def torch_trace(folder: Path) -> Iterator[Span]:
    """Write structured lines, as TORCH_TRACE has torch.compile do."""
    os.environ["TORCH_TRACE"] = str(folder)
    from torch._logging import trace_structured

    @contextmanager
    def span(name: str) -> Iterator[None]:
        yield
        trace_structured("artifact", metadata_fn=lambda: {"name": name, "encoding": "string"}, payload_fn=str)

    yield span


def log_file(folder: Path) -> Iterator[Span]:
    """Log to a file."""
    logger = logging.getLogger("peers")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.FileHandler(folder / "spans.log"))

    @contextmanager
    def span(name: str) -> Iterator[None]:
        yield
        logger.info("%s took 0.01 s", name)

    yield span


TOOLS: Final[dict[str, Tool]] = {
    "compile-ledger": ours,
    "opentelemetry-sdk, in batches": opentelemetry,
    "viztracer": viztracer,
    "TORCH_TRACE": torch_trace,
    "logging to a file": log_file,
}


def _use(tool: Tool, fault: str, folder: Path) -> None:
    """Make the spans under a fault: in a process of its own, which may not survive."""
    using = tool(folder)
    span = next(using)
    for number in range(SPANS):
        with span(f"parent_{number}."):
            pass
        if fault == "full disk" and number == SPANS // 2:
            largest = max((file.stat().st_size for file in folder.rglob("*")), default=0)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        if fault == "fork" and number == SPANS // 2 and not os.fork():
            for of_child in range(SPANS):
                with span(f"child_{of_child}."):
                    pass
            next(using, None)
            os._exit(0)  # as a worker ends that multiprocessing forked
    if fault == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "fork":
        os.wait()
    next(using, None)


def _left(tool: str, fault: str) -> str:
    """Return how many of the spans can be read back afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--use", tool, "--fault", fault, "--folder", name)
        command = [sys.executable, "-m", "tests.faults.peers", *options]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        counted = ""
        if tool == "compile-ledger":
            with Ledger.open(folder / "startup.db") as ledger:
                text = " ".join(str(row["stage"]) for row in ledger.sql("SELECT stage FROM intervals"))
                [gap] = ledger.sql("SELECT sum(count) AS events FROM gaps")
                counted = f", and {gap['events']} events counted as lost" if gap["events"] else ""
        else:
            text = " ".join(file.read_text(errors="replace") for file in folder.iterdir() if file.is_file())
        who = "child" if fault == "fork" else "parent"
        return f"{sum(f'{who}_{number}.' in text for number in range(SPANS))}{counted}"


def main() -> None:
    """Print the table, in Markdown."""
    print(f"| Of {SPANS} spans are left, of | after SIGKILL | of a forked child's | after a full disk |")
    print("| --- | --- | --- | --- |")
    for tool in TOOLS:
        cells = [_left(tool, fault) for fault in ("SIGKILL", "fork", "full disk")]
        print(f"| {tool} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--use", choices=TOOLS)
    parser.add_argument("--fault")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.use is None:
        main()
    else:
        _use(TOOLS[options.use], options.fault, options.folder)
