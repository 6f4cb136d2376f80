"""What the kernel says of a process."""

import os
import socket
import subprocess
import sys
import time

from ledger.recording.process_identity import process_created, this_process
from ledger_birth import kernel


def test_a_process_is_created_before_it_runs_and_after_it_was_asked_for() -> None:
    before = time.perf_counter_ns()
    code = "from ledger_birth import kernel; import time; print(kernel.created_ns(), time.perf_counter_ns())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    created, running = map(int, ran.stdout.split())
    assert before - kernel.tick_ns() <= created < running


def test_this_process_is_itself() -> None:
    me = this_process()
    assert (me.pid, me.parent_pid, me.host) == (os.getpid(), os.getppid(), socket.gethostname())
    assert me.pid_start == kernel.pid_start(os.getpid())
    created = process_created()
    assert created is not None
    assert created.at_ns < time.perf_counter_ns()


def test_a_process_that_is_not_there_has_no_start() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
    child.wait()
    assert kernel.pid_start(child.pid) is None
