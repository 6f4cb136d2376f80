"""Process groups of real processes: who is in one, and who has ended."""

import os
import signal
import time

from ledger.cli.process_groups import has_members, send
from tests.support.processes import Spawn, exit_code, wait_for_end
from tests.support.waiting import wait_until


def test_a_group_has_members_until_the_last_one_has_ended(spawn: Spawn) -> None:
    reading, writing = os.pipe()

    def lead() -> None:
        os.setpgid(0, 0)
        if os.fork() == 0:
            os.write(writing, b"here")
            time.sleep(600)
        os.read(reading, 4)

    leader = spawn(lead)
    wait_for_end(leader)
    # The leader waits for its parent, the other one sleeps.
    assert has_members(leader)
    send(leader, signal.SIGKILL)
    wait_until(lambda: not has_members(leader), "the group has ended")
    assert exit_code(leader) == 0


def test_of_a_group_that_is_gone_nothing_is_said(spawn: Spawn) -> None:
    gone = spawn(lambda: os.setpgid(0, 0))
    assert exit_code(gone) == 0
    assert not has_members(gone)
    send(gone, signal.SIGTERM)
