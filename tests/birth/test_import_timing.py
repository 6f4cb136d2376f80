"""Which imports are worth writing, by a clock that only moves where a test moves it."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ledger.testing import FakeClock
from ledger_birth import import_timing
from ledger_birth.import_timing import ImportTiming
from ledger_birth.line_writer import LineWriter
from ledger_birth.self_description import Target
from tests.support.journals import intervals, recorded

MS = 1_000_000


class Importing:
    """Imports modules that take as long as a test says."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock(1_000 * MS)
        target = Target(str(path), "s", None, begins_session=False)
        self.outermost_ended = 0
        self.timing = ImportTiming(LineWriter(target, dict, clock=self.clock), self.count)
        self.bodies: dict[str, Callable[[], object]] = {}
        self.load = self.timing.timed_import(self._load)

    def count(self) -> None:
        self.outermost_ended += 1

    def _load(self, name: str, _: object) -> object:
        return self.bodies[name]()

    def module(self, name: str, *steps: int | str | Exception) -> None:
        """Have a module spend so many ms, import others, or fail, in this order."""

        def body() -> object:
            for step in steps:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, str):
                    self.load(step, None)
                else:
                    self.clock.advance(step * MS)
            return SimpleNamespace(__name__=name)

        self.bodies[name] = body

    def run(self, name: str) -> None:
        self.load(name, None)


@pytest.fixture
def importing(path: Path) -> Importing:
    return Importing(path)


def lengths(path: Path) -> dict[str | None, int]:
    return {start.component: (stop.at_ns - start.at_ns) // MS for start, stop in intervals(path)}


@pytest.mark.parametrize(("length", "count"), [(9, 0), (10, 1), (11, 1)])
def test_an_outermost_import_counts_from_ten_ms_on(
    path: Path, importing: Importing, length: int, count: int
) -> None:
    importing.module("a", length)
    importing.run("a")
    assert len(lengths(path)) == count
    assert importing.outermost_ended == 1


@pytest.mark.parametrize(
    ("inside", "rest", "counts"),
    [
        (1, 9, True),
        (1, 19, True),
        (1, 20, False),
        (4, 96, False),
        (5, 95, True),
        (49, 2_000, False),
        (50, 2_000, True),
    ],
)
def test_one_inside_counts_by_its_share_or_from_fifty_ms_on(
    path: Path, importing: Importing, inside: int, rest: int, counts: bool
) -> None:
    importing.module("inner", inside)
    importing.module("outer", "inner", rest)
    importing.run("outer")
    assert lengths(path) == {"outer": inside + rest, **({"inner": inside} if counts else {})}


def test_its_parent_is_the_import_around_it(path: Path, importing: Importing) -> None:
    importing.module("c", 60)
    importing.module("b", 1, "c", 1)
    importing.module("d", 20)
    importing.module("a", 1, "b", "d")
    importing.run("a")
    found = {start.component: start for start, _ in intervals(path)}
    assert found["a"].parent is None
    assert (found["b"].parent, found["d"].parent) == (found["a"].interval, found["a"].interval)
    assert found["c"].parent == found["b"].interval


def test_what_is_long_is_written_as_it_ends_with_the_starts_around_it(
    path: Path, importing: Importing
) -> None:
    found: list[list[tuple[str, str | None]]] = []
    importing.module("inner", 50)
    importing.module("middle", "inner", 1)
    importing.bodies["look"] = lambda: found.append(
        [(event.kind, getattr(event, "component", None)) for event in recorded(path)]
    )
    importing.module("outer", "middle", "look")
    importing.run("outer")
    assert found == [
        [
            ("stage_started", "outer"), ("stage_started", "middle"), ("stage_started", "inner"),
            ("stage_stopped", None), ("stage_stopped", None),
        ]
    ]  # fmt: skip


def test_the_outermost_s_start_is_written_with_the_next_end_after_ten_ms(
    path: Path, importing: Importing
) -> None:
    found: list[int] = []
    importing.module("quick")
    importing.bodies["look"] = lambda: found.append(len(recorded(path)))
    importing.module("outer", 5, "quick", "look", 5, "look", "look", 3)
    importing.run("outer")
    assert found == [0, 0, 1]
    assert lengths(path) == {"outer": 13}


def test_a_failed_import_says_with_what(path: Path, importing: Importing) -> None:
    importing.module("bad", 20, ValueError("x"))
    importing.module("outer", "bad")
    with pytest.raises(ValueError, match="x"):
        importing.run("outer")
    assert [(start.component, stop.outcome, stop.error) for start, stop in intervals(path)] == [
        ("outer", "failed", "ValueError"), ("bad", "failed", "ValueError"),
    ]  # fmt: skip
    importing.module("next", 10)
    importing.run("next")
    assert {start.component: start.parent for start, _ in intervals(path)}["next"] is None


def test_imports_that_end_in_another_order_do_not_last_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As greenlets do it: of two imports in one thread the first ends before the second, begun inside of it.
    monkeypatch.setattr(import_timing, "get_ident", lambda: 1)
    importing = Importing(path)
    second_began, first_ended = threading.Event(), threading.Event()

    def second() -> None:
        second_began.set()
        first_ended.wait()

    importing.bodies["second"] = second
    thread = threading.Thread(target=importing.run, args=("second",))
    importing.bodies["first"] = lambda: (thread.start(), second_began.wait())
    importing.run("first")
    first_ended.set()
    thread.join()
    importing.module("after", 20)
    importing.run("after")
    assert lengths(path) == {"after": 20}


def test_names_that_utf_8_can_not_say_do_not_matter(path: Path, importing: Importing) -> None:
    importing.module('a\ud800"\\\n', 20)
    importing.run('a\ud800"\\\n')
    assert list(lengths(path)) == ['a?"\\\n']


def test_after_a_fork_what_began_before_is_not_the_child_s(path: Path, importing: Importing) -> None:
    def fork() -> None:
        importing.timing.after_fork(importing.timing.lines.forked())

    importing.module("inner", 60)
    importing.bodies["fork"] = fork
    importing.module("outer", 20, "fork", 20, "inner")
    importing.run("outer")
    assert lengths(path) == {"inner": 60}


def test_install_and_uninstall_leave_everything_as_it_was(path: Path) -> None:
    import _frozen_importlib as machinery  # type: ignore[import-not-found]

    before = machinery._find_and_load, machinery._exec
    timing = Importing(path).timing
    assert timing.install() == {}
    assert machinery._find_and_load is not before[0]
    timing.uninstall()
    assert (machinery._find_and_load, machinery._exec) == before


def test_what_is_not_there_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import _frozen_importlib as machinery  # type: ignore[import-not-found]

    timing = Importing(path).timing
    with monkeypatch.context() as patched:
        patched.setattr(machinery, "_find_and_load", lambda: None)
        missing = timing.install()
        timing.uninstall()
    assert missing == {"python.import": "importlib._bootstrap._find_and_load is not what it was"}
