"""A start and stop pair on the emitting thread, beside opentelemetry-sdk's span, and by part."""

import os
import subprocess
import sys
import tempfile
from contextvars import ContextVar
from pathlib import Path

from measuring import Figure, Goal, per_call_us, rounds
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ledger import Recorder
from ledger.clock import monotonic_ns
from ledger.recording.recorder import DISABLED

_CALLS = 500
_ROUNDS = 70
"""Short and many: of a shared machine's processors the fastest rounds had one to themselves."""
_IMPORTS = 7
_IMPORT = """
import time
import pydantic
class Model(pydantic.BaseModel): number: int
start = time.perf_counter()
import ledger
print(time.perf_counter() - start)
"""
"""What importing us takes beyond what pydantic needs to make its first model."""
_NAMES = {"role": "encoder", "component": "Qwen2_5_VisionBlock"}


def main() -> None:
    """Measure all in turn, in the same run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = _ours(folder)
        floor = _floor(folder)
        parts = _parts(folder)
        off = per_call_us(_stage_while_off, _CALLS, _ROUNDS)
        environment = dict.fromkeys(os.environ, "")
        look_up = per_call_us(lambda: environment.get("COMPILE_LEDGER"), _CALLS, _ROUNDS)
        environ = per_call_us(lambda: os.environ.get("COMPILE_LEDGER"), _CALLS, _ROUNDS)
        from_environment = per_call_us(Recorder.from_environment, _CALLS, _ROUNDS)
    peer = _opentelemetry()
    print("Emitting: one interval, its start and its stop, on the emitting thread")
    for name, measured in (
        ("two bare os.write", floor),
        ("this recorder", ours),
        ("opentelemetry-sdk", peer),
    ):
        print(Figure(name, measured, "µs"))
    print(Goal("of an opentelemetry span", ours / peer, 0.3, "times"))
    print(Goal("of two bare writes", ours / floor, 3.5, "times"))
    print("What is left above the two writes, by part")
    for name, measured in parts:
        print(Figure(name, measured, "µs"))
    print(Figure("the calls between them, and counting", ours - floor - sum(each for _, each in parts), "µs"))
    print("Recording off, a call")
    for name, measured in (
        ("dict.get", look_up),
        ("os.environ.get", environ),
        ("Recorder.from_environment()", from_environment),
        ("a stage of a disabled recorder", off),
    ):
        print(Figure(name, measured, "µs"))
    print(Goal("of os.environ.get", from_environment / environ, 2.0, "times"))
    print("Importing")
    print(
        Goal("`import ledger`, beyond pydantic", min(_import_ms() for _ in range(rounds(_IMPORTS))), 60, "ms")
    )


def _import_ms() -> float:
    ran = subprocess.run([sys.executable, "-c", _IMPORT], stdout=subprocess.PIPE, text=True, check=True)
    return float(ran.stdout) * 1e3


def _ours(folder: Path) -> float:
    recorder = Recorder.open(folder / "bench.db")
    outer = recorder.start("engine_init", source="engine")

    def pair() -> None:
        interval = recorder.start("torch_compile", source="monitor", parent=outer, **_NAMES)
        recorder.stop(interval)

    measured = per_call_us(pair, _CALLS, _ROUNDS)
    recorder.close()
    return measured


def _parts(folder: Path) -> list[tuple[str, float]]:
    """Return what each part of a pair costs, done twice by itself: less what calling a function does."""
    recorder = Recorder.open(folder / "parts.db")
    recorder.start("engine_init", source="engine")
    writer = recorder.writer
    assert writer is not None
    lines, mark = writer.lines, writer._mark
    stage, source, role, component = "torch_compile", "monitor", _NAMES["role"], _NAMES["component"]
    writer.start((stage, source, None, role, component), 2, None)
    of_thread = writer._of_thread
    variable: ContextVar[object] = ContextVar("variable", default=None)

    def arguments() -> None:
        DISABLED.start("torch_compile", source="monitor", parent=2, **_NAMES)
        DISABLED.stop(2)

    def clock() -> None:
        monotonic_ns()
        monotonic_ns()

    def context() -> None:
        variable.get()
        variable.get()

    def encoding() -> None:
        within, _ = of_thread.templates[stage, source, None, role, component]
        _ = within % (12345, 1234567890123, 12345, 2)
        _ = writer._completed % (12346, 1234567890123, 12345)

    def lock() -> None:
        with lines.turn:
            lines.turn  # noqa: B018
        with lines.turn:
            lines.turn  # noqa: B018

    def process() -> None:
        _ = mark[0]
        _ = mark[0]

    nothing = per_call_us(lambda: None, _CALLS, _ROUNDS)
    parts = [
        ("calls with these arguments", arguments), ("reading the clock", clock),
        ("context variables", context), ("encoding", encoding),
        ("the lock", lock), ("whether it was forked", process),
    ]  # fmt: skip
    measured = [(name, per_call_us(part, _CALLS, _ROUNDS) - nothing) for name, part in parts]
    recorder.close()
    return measured


def _floor(folder: Path) -> float:
    line = (
        b'{"kind":"stage_started","session":"20261122-113000-ab12cd34","process":"4242-5e6f7a8b","seq":12345,'
        b'"at_ns":1234567890123,"interval":12345,"stage":"torch_compile","source":"monitor",'
        b'"activity":"compile","role":"encoder","component":"Qwen2_5_VisionBlock",'
        b'"thread":"MainThread-4242","parent":1}\n'
    )
    file = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def pair() -> None:
        os.write(file, line)
        os.write(file, line)

    measured = per_call_us(pair, _CALLS, _ROUNDS)
    os.close(file)
    return measured


def _opentelemetry() -> float:
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=100_000))
    tracer = provider.get_tracer("bench")

    def span() -> None:
        with tracer.start_as_current_span("torch_compile", attributes=_NAMES):
            pass

    with tracer.start_as_current_span("engine_init"):
        measured = per_call_us(span, _CALLS, _ROUNDS)
    provider.shutdown()
    return measured


def _stage_while_off() -> None:
    with Recorder.from_environment().stage("torch_compile", source="monitor", role="encoder"):
        pass


if __name__ == "__main__":
    main()
