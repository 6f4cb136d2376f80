"""One start over two hosts, each with a network, name, boot id and clock of its own: torchrun, then merge."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import Ledger
from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE_S

CLI = [sys.executable, "-m", "ledger.cli"]
AHEAD_S = 5_000
"""By how much the second host's clock is ahead."""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


def can_make_hosts() -> bool:
    if os.geteuid() or not shutil.which("unshare") or not shutil.which("ip"):
        return False
    boot_id = "/proc/sys/kernel/random/boot_id"
    probe = (
        f"hostname probe && mount --bind /etc/hostname {boot_id} && ip link add cl0 type veth peer name cl1"
    )
    return run("unshare", "--net", "--uts", "--mount", "--time", "--fork", "sh", "-c", probe).returncode == 0


@pytest.fixture
def names() -> Iterator[tuple[str, str]]:
    """Return the names of two network namespaces, with a cable between them."""
    stem = f"cl{os.getpid()}"
    names = f"{stem}a", f"{stem}b"
    made: list[str] = []
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        cable = ["ip", "link", "add", "cable", "netns", names[0], "type", "veth", "peer", "name", "cable"]
        subprocess.run([*cable, "netns", names[1]], check=True)
        for number, name in enumerate(names, 1):
            subprocess.run(
                ["ip", "-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", "cable"], check=True
            )
            subprocess.run(["ip", "-n", name, "link", "set", "cable", "up"], check=True)
        yield names
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not can_make_hosts(), reason="needs root, and namespaces of networks, clocks and mounts")
def test_two_nodes_of_torchrun_are_one_session(names: tuple[str, str], tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.99.0.1 node0\n10.99.0.2 node1\n")
    nodes: list[subprocess.Popen[str]] = []
    for number, name in enumerate(names):
        boot_id = tmp_path / f"boot{number}"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        script = (
            f"hostname node{number} && mount --bind {hosts} /etc/hosts && "
            f'mount --bind {boot_id} /proc/sys/kernel/random/boot_id && exec "$@"'
        )
        place = ["ip", "netns", "exec", name, "unshare", "--uts", "--mount", "--time", "--fork"]
        clock = ["--monotonic", str(number * AHEAD_S), "--boottime", str(number * AHEAD_S)]
        record = [
            *CLI,
            "record",
            "--quiet",
            "--session",
            "run-17",
            "-o",
            str(tmp_path / f"node{number}.db"),
            "--",
        ]
        torchrun = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
            "--rdzv-id", "run-17", "--rdzv-backend", "c10d", "--rdzv-endpoint", "10.99.0.1:29400",
            str(ROOT / "tests" / "programs" / "two_nodes.py"),
        ]  # fmt: skip
        nodes.append(
            subprocess.Popen(
                [*place, *clock, "sh", "-c", script, "sh", *record, *torchrun],
                env={**os.environ, "GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
        )  # fmt: skip
    try:
        for node in nodes:
            said, _ = node.communicate(timeout=DEADLINE_S)
            assert node.returncode == 0, said
    finally:
        for node in nodes:
            node.kill()
    parts = [str(tmp_path / f"node{number}.db") for number in (0, 1)]
    merged = run(*CLI, "merge", *parts, "-o", str(tmp_path / "all.db"))
    assert merged.returncode == 0, merged.stderr
    assert "has 1 session\n" in merged.stdout
    with Ledger.open(tmp_path / "all.db") as ledger:
        timeline = ledger.timeline()
        clock = ledger.clock_alignment()
    assert timeline.session is not None
    assert (timeline.session.session, timeline.session.outcome) == ("run-17", "completed")
    assert sorted(
        (process.host, process.rank) for process in timeline.processes if process.rank is not None
    ) == [
        ("node0", 0),
        ("node1", 1),
    ]
    assert (clock.domains, clock.unplaced) == (2, ())
    # One machine's clock is under both, so the one's times lie among the other's, and not 5,000 s away.
    assert max(clock.offset_ns.values()) - min(clock.offset_ns.values()) > (AHEAD_S - 1_000) * 10**9
    [window] = timeline.startup_windows
    assert (window.began_by, window.ended_by) == ("command_started", "engine_ready")
    assert window.duration_ns < DEADLINE_S * 10**9
    assert 0 < window.uncertainty_ns < 10**9
    hosts_of = {process.process: process.host for process in timeline.processes}
    charged = {hosts_of[piece.process] for piece in timeline.startup_breakdown if piece.process is not None}
    assert charged == {"node0", "node1"}
    assert sum(piece.duration_ns for piece in timeline.startup_breakdown) == window.duration_ns
    shown = run(*CLI, "report", str(tmp_path / "all.db"))
    assert "node0" in shown.stdout
    assert "node1" in shown.stdout
