"""The names that a reader is shown for the processes of a session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import Process
from ledger.adapters import process_names


def process(
    key: str,
    name: str | None = None,
    rank: int | None = None,
    host: str | None = None,
    pid: int | None = None,
) -> Process:
    return Process("s", key, name, rank, pid, None, host, None, "completed", 1, 0, (), ())


@pytest.mark.parametrize(
    ("processes", "names"),
    [
        ([process("a", "EngineCore")], ["EngineCore"]),
        ([process("a")], ["a"]),
        ([process("a", "Worker", 0), process("b", "Worker", 1)], ["Worker rank 0", "Worker rank 1"]),
        ([process("a", "Worker", host="x"), process("b", "Other", host="x")], ["Worker", "Other"]),
        (
            [process("a", "Worker", host="x"), process("b", "Worker", host="y")],
            ["Worker on x", "Worker on y"],
        ),
        ([process("a", "W"), process("b", "W"), process("c", "V")], ["W [a]", "W [b]", "V"]),
        (
            [process("a", "W", pid=7), process("b", "W", pid=8), process("c", "V", pid=9)],
            ["W pid 7", "W pid 8", "V"],
        ),
        (
            [process("a", "W", 0, pid=7), process("b", "W", 1, pid=8)],
            ["W rank 0", "W rank 1"],
        ),
        ([process("a", "W", pid=7), process("b", "W", pid=7)], ["W pid 7 [a]", "W pid 7 [b]"]),
    ],
)
def test_a_name_says_as_much_as_it_takes_to_tell_processes_apart(
    processes: list[Process], names: list[str]
) -> None:
    assert list(process_names(processes).values()) == names


def test_each_part_is_cut_by_itself() -> None:
    names = process_names([process("a" * 50, "W" * 50, 3), process("b", "W" * 50, 3)], max_length=5)
    assert list(names.values()) == ["WWWW… rank 3 [aaaa…]", "WWWW… rank 3 [b]"]


@given(
    st.dictionaries(
        st.text("ab", min_size=1, max_size=8),
        st.tuples(
            st.none() | st.text("ab[] ", max_size=8),
            st.none() | st.integers(0, 1),
            st.none() | st.sampled_from("xy"),
            st.none() | st.integers(7, 8),
        ),
        max_size=6,
    ),
    st.none() | st.integers(2, 6),
)
def test_every_process_has_a_name(
    records: dict[str, tuple[str | None, int | None, str | None, int | None]], max_length: int | None
) -> None:
    names = process_names(
        [process(key, *fields) for key, fields in records.items()],
        max_length=max_length,
    )
    assert list(names) == list(records)
    assert all(names.values())
