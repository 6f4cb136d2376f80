"""Recording from the birth of a process: an import recorded and not, a start of Python, `import torch`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Figure, Goal, per_call_us, rounds

from ledger_birth.birth import describe_program
from ledger_birth.import_timing import OUTERMOST_NS, ImportTiming
from ledger_birth.line_writer import LineWriter
from ledger_birth.self_description import Target

_CALLS = 20_000
_STARTS = 40
_TORCH = 20
_TORCH_IMPORT = """
import time
start = time.process_time()
import torch
print(time.process_time() - start)
"""
_STARTED = "import time; print(time.perf_counter())"


def main() -> None:
    """Measure all in turn; what is compared is measured in turns, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorded, nested, outermost, bare = _imports(folder)
        print("Imports, a call, beyond the call itself")
        print(Figure("one write of the same size", bare, "µs"))
        print(Goal("an import that is recorded", recorded, 5, "µs"))
        print(Goal("an outermost one that is not", outermost, 1, "µs"))
        print(Goal("one inside another that is not", nested, 1, "µs"))
        _start_ms(folder, True)  # compiles what is imported
        print("Starting Python: from starting the process to its first line")
        off, on = _alternating(folder, _STARTS, _start_ms)
        print(Figure("recording off", off, "ms"))
        print(Figure("recording on", on, "ms"))
        print(Figure("more", on - off, "ms"))
        print("`import torch`, without what records torch itself: processor time")
        off, on = _alternating(folder, _TORCH, _torch_ms)
        print(Figure("recording off", off, "ms"))
        print(Figure("recording on", on, "ms"))
        print(Goal("slower by", (on / off - 1) * 100, 1, "%"))


def _imports(folder: Path) -> tuple[float, float, float, float]:
    target = Target(str(folder / "imports.db"), "s", None, begins_session=False)
    timing = ImportTiming(LineWriter(target, describe_program), lambda: None)

    def load(_: str, __: object) -> None:
        return None

    def nothing() -> None:
        load("package.module", None)

    timed = timing.timed_import(load)
    floor = per_call_us(nothing, _CALLS)
    outermost = per_call_us(lambda: timed("package.module", None), _CALLS) - floor
    inside: list[float] = []
    around = timing.timed_import(
        lambda _, __: inside.append(per_call_us(lambda: timed("package.module", None), _CALLS))
    )
    around("package", None)
    recording = ImportTiming(LineWriter(target, describe_program, clock=_Steps(OUTERMOST_NS)), lambda: None)
    long = recording.timed_import(load)
    recorded = per_call_us(lambda: long("package.module", None), _CALLS // 4) - floor
    file = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bare = per_call_us(lambda: os.write(file, b"x" * 440), _CALLS // 4)
    os.close(file)
    return recorded, inside[0] - floor, outermost, bare


class _Steps:
    """A clock that goes on by so much at each look: each import seems to take that long."""

    def __init__(self, step_ns: int) -> None:
        self._now_ns = 0
        self._step_ns = step_ns

    def __call__(self) -> int:
        self._now_ns += self._step_ns
        return self._now_ns


def _alternating(folder: Path, number: int, measure: Callable[[Path, bool], float]) -> tuple[float, float]:
    """Return the medians without and with recording, measured in turns."""
    off: list[float] = []
    on: list[float] = []
    for turn in range(rounds(number)):
        for found, recording in ((off, False), (on, True)) if turn % 2 else ((on, True), (off, False)):
            found.append(measure(folder, recording))
    return statistics.median(off), statistics.median(on)


def _environment(folder: Path, recording: bool) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if "COMPILE_LEDGER" not in name}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # So that what torch calls at the end of its import is measured in neither.
    environment["TORCH_DEVICE_BACKEND_AUTOLOAD"] = "0"
    if recording:
        environment |= {"COMPILE_LEDGER": str(folder / "starts.db"), "COMPILE_LEDGER_SESSION": "s"}
    return environment


def _start_ms(folder: Path, recording: bool) -> float:
    begin = time.perf_counter()
    ran = _python(_STARTED, folder, recording)
    return (float(ran) - begin) * 1e3


def _torch_ms(folder: Path, recording: bool) -> float:
    return float(_python(_TORCH_IMPORT, folder, recording)) * 1e3


def _python(code: str, folder: Path, recording: bool) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code], env=_environment(folder, recording), stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    return ran.stdout


if __name__ == "__main__":
    main()
