"""The mark of a process: a child does not have it, whoever forked it."""

import ctypes
import os
from unittest import mock

import pytest

from ledger.recording import fork_mark
from tests.support.processes import exit_code


@pytest.mark.parametrize("is_wiped", [True, False])
@pytest.mark.parametrize("below_python", [True, False])
def test_a_forked_child_does_not_have_it(is_wiped: bool, below_python: bool) -> None:
    with mock.patch.object(fork_mark, "_MADV_WIPEONFORK", fork_mark._MADV_WIPEONFORK if is_wiped else -1):
        mark = fork_mark.fork_mark()
    assert mark[0]
    pid = ctypes.PyDLL(None).fork() if below_python else os.fork()
    if pid == 0:
        os._exit(bool(mark[0]) or not fork_mark.fork_mark()[0])
    assert exit_code(pid) == 0
    assert mark[0]
