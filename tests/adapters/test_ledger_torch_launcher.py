"""torchrun with two real workers: where their start went, from the command to its end."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledger import Ledger, Recorder, Timeline
from ledger_torch import launcher_hooks
from tests.support.paths import TESTS

SCRIPT = TESTS / "programs" / "distributed.py"
WORKERS = 2
LARGEST_SHARE = 0.03
"""Of a window, in no stage."""


@pytest.fixture(scope="module")
def timeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timeline]:
    path = tmp_path_factory.mktemp("torchrun") / "start.db"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(WORKERS), str(SCRIPT)]
    subprocess.run(
        [sys.executable, "-m", "ledger.cli", "record", "--quiet", "-o", str(path), "--", *command],
        check=True,
        capture_output=True,
    )
    with Ledger.open(path) as ledger:
        yield ledger.timeline()


@pytest.mark.slow
class TestTwoWorkers:
    def test_nearly_all_of_it_is_in_a_stage(self, timeline: Timeline) -> None:
        (window,) = timeline.startup_windows
        assert (window.began_by, window.ended_by) == ("command_started", "command_ended")
        assert window.unattributed_ns <= LARGEST_SHARE * window.duration_ns

    def test_the_agent_waits_for_its_workers(self, timeline: Timeline) -> None:
        pids = {process.pid for process in timeline.processes if process.rank is not None}
        assert len(pids) == WORKERS
        (waiting,) = [interval for interval in timeline.intervals if interval.stage == "waiting"]
        children = (waiting.data or {})["child_pids"]
        assert isinstance(children, list)
        assert set(children) == pids
        stages = [one.stage for one in timeline.intervals if one.process == waiting.process]
        assert {"agent_run", "process_spawn"} <= set(stages)

    def test_each_worker_joins_the_group(self, timeline: Timeline) -> None:
        of = [one.process for one in timeline.intervals if one.stage == "process_group_init"]
        assert len(set(of)) == len(of) == WORKERS


def test_nothing_is_hooked_where_recording_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_hooks, "_installed", False)
    launcher_hooks.install_launcher_hooks(Recorder(None))
    assert not launcher_hooks._installed
