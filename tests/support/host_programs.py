"""Programs that record, made of steps: what runs them, each in a process of its own, as fast as it can fork.

`python -m tests.support.host_programs` reads one program a line, `{"path", "steps", "ends", "late"}`, runs it
in a forked child, and answers with how that ended. A program acknowledges each event, by its mark, as soon
as the recorder has returned from it.
"""

import asyncio
import atexit
import contextlib
import ctypes
import faulthandler
import gc
import itertools
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

HANGS_AFTER_S: Final = 30.0
_NEAR_THE_END: Final = 40
"""Frames from the end of the stack, at each of which something is recorded."""
_LOOKED_AFTER_S: Final = 0.011
"""How long it takes at most until a recorder looks after its journal again."""
_LEFT_BEHIND_S: Final = 5.0
"""How long children that a program left behind may go on."""

at_last: list[Callable[[], object]] = []


def _run_at_last() -> None:
    for function in at_last:
        function()


# Before anything of ours is imported, so that it comes after our own exit handler.
atexit.register(_run_at_last)

from ledger import Recorder  # noqa: E402
from ledger_birth.environment import FILE_VARIABLE  # noqa: E402
from tests.support.odd_arguments import ERRORS, Odd, odd_calls  # noqa: E402


class Stop(Exception):
    """What a signal handler of the host's raises."""


class Started(threading.local):
    """The threads that each thread has started and may join: never itself, nor one that waits for it."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []


class Host:
    """Runs the steps of one program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = os.open(path.with_name("acknowledged"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.numbers = itertools.count()
        self.recorder = Recorder.from_environment()
        self.contexts: list[Any] = []
        self.intervals: list[tuple[int, Recorder, int]] = []
        self.generators: list[Any] = []
        self.started = Started()

    def mark(self) -> str:
        return f"{os.getpid()}.{next(self.numbers)}"

    def call(self, mark: str | None, function: Callable[[], object]) -> object:
        """Call the recorder; nothing but what a signal handler raises may come out of it.

        Of a call during which a signal handler closes the recorder nothing is acknowledged.
        """
        recorder = self.recorder
        try:
            result = function()
        except Stop:
            raise
        except BaseException:
            self.tell("!" + json.dumps(traceback.format_exc()))
            return None
        if mark is not None and recorder is self.recorder:
            self.tell(mark)
        return result

    def tell(self, text: str) -> None:
        os.write(self.log, text.encode() + b"\n")

    def run(self, steps: list[Any]) -> None:
        for step in steps:
            with contextlib.suppress(Stop):
                self.step(step)

    def step(self, step: list[Any]) -> None:
        name, *arguments = step
        getattr(self, "do_" + name)(*arguments)

    def do_milestone(self) -> None:
        mark, recorder = self.mark(), self.recorder
        self.call(mark, lambda: recorder.milestone(mark))

    def do_claim(self, seconds: float) -> None:
        mark, recorder = self.mark(), self.recorder
        self.call(mark, lambda: recorder.claim(seconds, source="log", text=mark, data={"seconds": seconds}))

    def do_gap(self) -> None:
        mark, recorder = self.mark(), self.recorder
        self.call(mark, lambda: recorder.gap("dropped", detail=mark))

    def do_start(self, at_ns: Any = None) -> None:
        mark, recorder = self.mark(), self.recorder
        interval = self.call(mark, lambda: recorder.start("dynamo", component=mark, at_ns=at_ns))
        if isinstance(interval, int) and interval >= 0:
            self.intervals.append((os.getpid(), recorder, interval))

    def do_stop(self, number: int, at_ns: Any = None) -> None:
        """Stop an interval, which may be one from before a fork or a close: that one makes no event."""
        if not self.intervals:
            return
        pid, recorder, interval = self.intervals[number % len(self.intervals)]
        mark = self.mark()
        is_own = pid == os.getpid() and recorder is self.recorder
        stop = self.recorder.stop
        self.call(mark if is_own else None, lambda: stop(interval, data={"mark": mark}, at_ns=at_ns))

    def do_stage(self) -> None:
        mark, recorder = self.mark(), self.recorder
        stage = recorder.stage("model_load", component=mark)
        self.contexts.append(stage)
        self.call(mark, stage.__enter__)

    def do_role(self) -> None:
        role = self.recorder.role("encoder")
        self.contexts.append(role)
        self.call(None, role.__enter__)

    def do_again(self, number: int) -> None:
        if self.contexts:
            self.call(None, self.contexts[number % len(self.contexts)].__enter__)

    def do_leave(self, number: int) -> None:
        if self.contexts:
            context = self.contexts[number % len(self.contexts)]
            self.call(None, lambda: context.__exit__(None, None, None))

    def do_note(self, number: int) -> None:
        for context in self.contexts[-1 - number % 2 :]:
            if hasattr(context, "note"):
                self.call(None, lambda: context.note(number=number))  # noqa: B023
                self.call(None, context.mark_stopped)

    def do_decorated(self, depth: int) -> None:
        recorder = self.recorder

        @recorder.stage("graph_compile")
        def recurse(left: int) -> int:
            return left and 1 + recurse(left - 1)

        self.call(None, lambda: recurse(depth))

    def do_odd(self, number: int, error: int) -> None:
        calls = odd_calls(self.recorder, Odd(ERRORS[error % len(ERRORS)]))
        self.call(None, calls[number % len(calls)])

    def do_deep(self) -> None:
        """Record at the end of the stack, one frame further from it each time."""
        left = _NEAR_THE_END

        def dive() -> None:
            nonlocal left
            with contextlib.suppress(RecursionError):
                dive()
            if left > 0:
                left -= 1
                try:
                    recorder.milestone("deep")
                    with recorder.stage("dynamo"):
                        recorder.claim(1.0, source="log")
                except RecursionError as error:
                    # The call itself may be one too many; but not a call that ours makes.
                    trace = error.__traceback__
                    if trace is not None and trace.tb_next is not None:
                        problems.append(traceback.format_exception(error)[-3:])

        problems: list[Any] = []
        recorder = self.recorder
        dive()
        for problem in problems:
            self.tell("!" + json.dumps(problem))

    def do_thread(self, steps: list[Any], is_joined: bool) -> None:
        thread = threading.Thread(target=self.run, args=(steps,), daemon=True)
        thread.start()
        if is_joined:
            thread.join()
        else:
            self.started.threads.append(thread)

    def do_join(self) -> None:
        while self.started.threads:
            self.started.threads.pop().join()

    def do_tasks(self, programs: list[list[Any]]) -> None:
        async def task(steps: list[Any]) -> None:
            recorder = self.recorder
            with recorder.role("task"), recorder.stage("model_load"):
                for step in steps:
                    with contextlib.suppress(Stop):
                        self.step(step)
                    await asyncio.sleep(0)
                async for _ in self.asynchronous(recorder):
                    break

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: self.tell("!" + json.dumps(str(context))))
            await asyncio.gather(*map(task, programs))

        if not hasattr(asyncio.events, "_get_running_loop") or asyncio._get_running_loop() is None:
            asyncio.run(main())

    async def asynchronous(self, recorder: Recorder) -> AsyncIterator[int]:
        with recorder.role("generator"), recorder.stage("dynamo"):
            yield 1
            yield 2

    def do_generator(self) -> None:
        def generate(recorder: Recorder) -> Iterator[int]:
            with recorder.role("generator"), recorder.stage("dynamo"):
                yield 1
                yield 2

        generator = generate(self.recorder)
        self.call(None, lambda: next(generator))
        self.generators.append(generator)

    def do_drop(self, elsewhere: bool) -> None:
        """Have a generator collected, here or in another thread."""
        if not self.generators:
            return
        if elsewhere:
            thread = threading.Thread(target=lambda: self.call(None, self.generators.pop().close))
            thread.start()
            thread.join()
        else:
            self.generators.pop()
        gc.collect()

    def do_fork(self, steps: list[Any], is_below: bool, ends: str) -> None:
        # Who forks below Python must have no threads: Python itself may wait for them for ever.
        is_below = is_below and threading.active_count() == 1
        pid = ctypes.PyDLL(None).fork() if is_below else os.fork()
        if pid:
            os.waitpid(pid, 0)
            return
        try:
            self.started.threads.clear()
            self.run(steps)
            self.end("leave" if is_below and ends in ("return", "raise") else ends)
        except SystemExit:
            # As a program ends that was forked: its exit handlers run, and nothing of its parent's.
            atexit._run_exitfuncs()
        finally:
            os._exit(0)

    def do_signal(self, steps: list[Any], raises: bool) -> None:
        """Handle a signal that comes in the middle of recording, by recording, and perhaps by raising."""
        if threading.current_thread() is not threading.main_thread():
            return

        def handle(_: int, __: FrameType | None) -> None:
            self.run(steps)
            if raises:
                raise Stop

        previous = signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.00001 * (next(self.numbers) % 7))
            end = time.monotonic() + 0.001
            while time.monotonic() < end:
                self.do_milestone()
                self.do_claim(1.0)
                self.do_start()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)

    def do_harm(self, how: str) -> None:
        """Do away with the journals of this process while it writes them; but not with its last breath."""
        if threading.current_thread() is not threading.main_thread():
            return
        writer = self.recorder.writer
        if writer is None or writer.lines.pid != os.getpid():
            return
        own = list(self.path.parent.glob(f"startup.db.journal/{writer.process}*.jsonl"))
        for journal in own:
            with contextlib.suppress(FileNotFoundError):
                if how == "remove":
                    journal.unlink()
                else:
                    journal.rename(self.path.with_name(f"away-{next(self.numbers)}"))
        time.sleep(_LOOKED_AFTER_S)

    def do_close(self) -> None:
        """Close the recorder where nobody uses it, and go on with another one."""
        if threading.active_count() > 1:
            return
        recorder = self.recorder
        self.call(None, recorder.close)
        self.call(None, lambda: recorder.milestone("too late"))
        self.recorder = Recorder.from_environment()
        if not self.recorder.enabled:
            self.tell("!" + json.dumps("a second recorder is not enabled"))

    def end(self, ends: str) -> None:
        self.do_milestone()  # what was not written is told with the next event
        if ends == "leave":
            os._exit(0)
        if ends == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if ends == "terminate":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(3 if ends == "raise" else 0)


def _program(line: str) -> None:
    program = json.loads(line)
    path = Path(program["path"])
    os.setsid()
    os.environ[FILE_VARIABLE] = str(path)
    # What it says goes where the test finds it.
    errors = os.open(path.with_name("errors"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(errors, 2)
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    host = Host(path)
    at_last.append(lambda: host.run(program["late"]))
    host.run(program["steps"])
    host.end(program["ends"])


def _wait(pid: int) -> int | None:
    """Wait for a program; return its exit code, or None where it hangs and was killed."""
    end, pause = time.monotonic() + HANGS_AFTER_S, 0.0005
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGUSR2)  # says where it hangs, and where its children do
            time.sleep(1.0)
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end = time.monotonic() + _LEFT_BEHIND_S
    with contextlib.suppress(ProcessLookupError):
        # Children that it left behind come to their end: one whose journal was just removed must get to it.
        while time.monotonic() < end:
            os.killpg(pid, 0)
            time.sleep(_LOOKED_AFTER_S / 10)
        os.killpg(pid, signal.SIGKILL)
    return code


def main() -> None:
    """Run programs until there is none any more."""
    from ledger.events.models import warm_up_models
    from ledger.storage import collector

    warm_up_models()
    # What lies in the journals is looked at, and importing SQLite would take most of the time.
    collector.collect_own = lambda *_, **__: None  # type: ignore[assignment]
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            _program(line)
        print(json.dumps(_wait(pid)), flush=True)
    at_last.clear()


if __name__ == "__main__":
    main()
