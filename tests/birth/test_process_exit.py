"""How a process ended, as it says so itself: the exception, its exit code and the last line of it."""

import pytest

from ledger import Ledger
from ledger.storage.verification import verify
from tests.support.births import Program

ENDS = [
    ("raise ValueError('too long')", "ValueError", {"exit_code": 1, "last_line": "ValueError: too long"}),
    (
        "raise ValueError('2 errors\\n  too long\\n')",
        "ValueError",
        {"exit_code": 1, "last_line": "too long", "message": "ValueError: 2 errors\ntoo long"},
    ),
    ("raise KeyError", "KeyError", {"exit_code": 1, "last_line": "KeyError"}),
    ("raise KeyboardInterrupt", "KeyboardInterrupt", {"last_line": "KeyboardInterrupt"}),
    (
        "class Odd(Exception):\n    __str__ = None\nraise Odd",
        "Odd",
        {"exit_code": 1, "last_line": "Odd"},
    ),
]
RECORDERS = ["", "from ledger import Recorder\nRecorder.from_environment().milestone('here')\n"]


def exits(program: Program) -> list[tuple[str, str | None, object]]:
    with Ledger.open(program.ledger) as ledger:
        found = [one for one in ledger.timeline().intervals if one.stage == "process_exit"]
    return [(one.outcome, one.error, one.data) for one in found]


@pytest.mark.parametrize("recorder", RECORDERS, ids=["birth", "recorder"])
@pytest.mark.parametrize(("code", "error", "data"), ENDS, ids=[end[0][:20] for end in ENDS])
def test_an_exception_that_ended_a_process_is_its_last_stage(
    program: Program, recorder: str, code: str, error: str, data: dict[str, object]
) -> None:
    program.file("fails.py", recorder + code)
    assert program.run("fails.py").returncode
    assert exits(program) == [("failed", error, data)]
    assert [finding for finding in verify(program.ledger) if finding.is_fault] == []


def test_a_child_of_multiprocessing_says_so_as_well(program: Program) -> None:
    program.file(
        "forks.py",
        "import multiprocessing\n"
        "def work():\n    raise ValueError('no room')\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    child.start()\n    child.join()\n",
    )
    program.run("forks.py")
    assert exits(program) == [("failed", "ValueError", {"exit_code": 1, "last_line": "ValueError: no room"})]


@pytest.mark.parametrize("code", ["pass", "try:\n    1 / 0\nexcept ZeroDivisionError:\n    print('fine')"])
def test_what_ends_well_says_nothing(program: Program, code: str) -> None:
    program.run("-c", code)
    assert exits(program) == []
