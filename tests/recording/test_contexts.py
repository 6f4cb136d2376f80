"""Stages and roles as contexts: entered again, by several at once, and left where they were not entered."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from ledger import Recorder, StageStarted
from tests.support.journals import intervals, recorded


def in_thread(function: Callable[[], object]) -> None:
    """Run a function in a thread of its own, and raise what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def roles(path: Path) -> dict[str, str | None]:
    return {event.stage: event.role for event in recorded(path) if isinstance(event, StageStarted)}


def parents(path: Path) -> dict[str, int | None]:
    return {event.stage: event.parent for event in recorded(path) if isinstance(event, StageStarted)}


class TestEnteredAgain:
    def test_one_stage_inside_of_itself_is_two_intervals(self, path: Path, recorder: Recorder) -> None:
        stage = recorder.stage("dynamo")
        with stage:
            stage.note(number=1)
            with stage:
                stage.note(number=2)
                stage.mark_stopped()
            stage.note(again=1)
        (outer, outer_stop), (inner, inner_stop) = intervals(path)
        assert inner.parent == outer.interval
        assert (outer_stop.data, inner_stop.data) == ({"number": 1, "again": 1}, {"number": 2})
        assert outer.at_ns < inner.at_ns < inner_stop.at_ns < outer_stop.at_ns

    def test_one_role_inside_of_itself_holds_to_its_end(self, path: Path, recorder: Recorder) -> None:
        role = recorder.role("encoder")

        def recurse(depth: int) -> None:
            with role:
                recorder.start(f"in {depth}")
                if depth:
                    recurse(depth - 1)
                recorder.start(f"out {depth}")

        recurse(2)
        recorder.start("after")
        assert roles(path) == {
            "in 2": "encoder", "in 1": "encoder", "in 0": "encoder",
            "out 0": "encoder", "out 1": "encoder", "out 2": "encoder", "after": None,
        }  # fmt: skip

    def test_threads_may_share_a_stage_and_a_role(self, path: Path, recorder: Recorder) -> None:
        stage, role = recorder.stage("dynamo"), recorder.role("encoder")
        begin = threading.Barrier(8)
        errors: list[BaseException] = []

        def work() -> None:
            begin.wait()
            try:
                for _ in range(50):
                    with role, stage:
                        recorder.stop(recorder.start("inside"))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        found = intervals(path)
        assert {start.role for start, _ in found} == {"encoder"}
        own = {start.interval: start for start, _ in found if start.stage == "dynamo"}
        inside = [start for start, _ in found if start.stage == "inside"]
        assert len(own) == len({start.parent for start in inside}) == 400
        assert all(start.parent is not None and own[start.parent].thread == start.thread for start in inside)

    def test_a_stage_that_is_left_without_being_entered_writes_nothing(
        self, path: Path, recorder: Recorder
    ) -> None:
        recorder.stage("dynamo").__exit__(None, None, None)
        recorder.role("encoder").__exit__(None, None, None)
        recorder.stage("dynamo").note(a=1)
        assert recorded(path) == []


class TestLeftElsewhere:
    @pytest.mark.parametrize("ending", ["close", "collect"])
    def test_a_generator_s_role_and_stage_may_end_in_another_thread(
        self, path: Path, recorder: Recorder, ending: str
    ) -> None:
        def numbers() -> Iterator[int]:
            with recorder.role("encoder"), recorder.stage("dynamo"):
                yield 1
                yield 2

        generators = [numbers()]
        assert next(generators[0]) == 1

        def end() -> None:
            generator = generators.pop()
            if ending == "close":
                generator.close()
            del generator
            gc.collect()

        in_thread(end)
        recorder.start("after")
        assert roles(path) == {"dynamo": "encoder", "after": None}
        assert parents(path)["after"] is None
        assert [event.kind for event in recorded(path)][1] == "stage_stopped"

    def test_an_asynchronous_generator_may_be_closed_late(self, path: Path, recorder: Recorder) -> None:
        problems: list[object] = []

        async def numbers() -> AsyncIterator[int]:
            with recorder.role("encoder"), recorder.stage("dynamo"):
                yield 1
                yield 2

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
            async for _ in numbers():
                break  # it is closed in another task
            gc.collect()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            recorder.start("after")

        asyncio.run(main())
        assert problems == []
        assert (roles(path)["after"], parents(path)["after"]) == (None, None)

    def test_what_ends_out_of_order_is_no_parent_any_more(self, path: Path, recorder: Recorder) -> None:
        first, second = recorder.stage("first"), recorder.stage("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        recorder.start("in the second")
        second.__exit__(None, None, None)
        recorder.start("in none")
        assert parents(path) == {
            "first": None, "second": first.interval, "in the second": second.interval, "in none": None,
        }  # fmt: skip

    def test_a_task_keeps_the_role_that_it_was_begun_in(self, path: Path, recorder: Recorder) -> None:
        async def later(left: asyncio.Event) -> None:
            await left.wait()
            recorder.start("in the task")

        async def main() -> None:
            left = asyncio.Event()
            with recorder.role("encoder"):
                task = asyncio.create_task(later(left))
                await asyncio.sleep(0)
            left.set()
            await task
            recorder.start("outside")

        asyncio.run(main())
        assert roles(path) == {"in the task": "encoder", "outside": None}
