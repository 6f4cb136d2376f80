"""Flame graphs add up to the role totals to the nanosecond, and the real speedscope opens them.

With COMPILE_LEDGER_SCREENSHOTS=FOLDER what was opened is kept there, to be looked at.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given
from playwright.sync_api import Browser, Page, expect, sync_playwright

from ledger import Event, Interval, Ledger, Timeline, reduce
from ledger.cli import main
from ledger.events.rows import to_row
from ledger.reports import speedscope as speedscope_format
from ledger.reports.flame_graphs import FlameGraphs, Profile
from ledger.reports.flame_graphs import flame_graphs as flame_graphs_of
from ledger.reports.stack_samples import DEEPEST, OTHER, SAMPLES
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from tests.reports.test_html import HOSTILE, LONG, SESSIONS, deep_session, hostile_events, kept
from tests.support import npm, starts
from tests.support.chromium import NoBrowser, chromium
from tests.support.growth import assert_linear
from tests.support.random_sessions import Tape, sessions
from tests.support.speedscope import address, schema

SCREENSHOTS: Final = os.environ.get("COMPILE_LEDGER_SCREENSHOTS")
Group = tuple[str, str | None, str]
Samples = list[tuple[tuple[str, ...], int]]


def flame_graphs(timeline: Timeline, most_samples: int = SAMPLES) -> FlameGraphs:
    return flame_graphs_of(timeline.intervals, timeline.processes, most_samples)


def speedscope(name: str, graphs: FlameGraphs) -> bytes:
    return b"".join(speedscope_format.speedscope(name, graphs))


def group_of(one: Any) -> Group:
    return one.process, one.role, one.activity


def totals(timeline: Timeline) -> dict[Group, int]:
    return {group_of(total): total.total_ns for total in timeline.role_totals if total.total_ns}


def sums(graphs: FlameGraphs) -> dict[Group, int]:
    return {(profile.process, *profile.group): profile.total_ns for profile in graphs.profiles}


def named(graphs: FlameGraphs, profile: Profile) -> Samples:
    """Return a profile's samples with the names of their frames."""
    return [(tuple(graphs.frames[at].name for at in stack), ns) for stack, ns in profile.samples]


def only(tape: Tape) -> Samples:
    """Return the samples of the only profile of a tape."""
    graphs = flame_graphs(reduce(tape.events))
    (profile,) = graphs.profiles
    return named(graphs, profile)


def names_of(tape: Tape) -> list[str]:
    return [profile.name for profile in flame_graphs(reduce(tape.events)).profiles]


# What the definition says, the slow way.


def encloses(outer: Interval, inner: Interval) -> bool:
    if (outer.start_ns, outer.stop_ns) == (inner.start_ns, inner.stop_ns):
        return outer.start_seq < inner.start_seq
    return outer.start_ns <= inner.start_ns and stop_of(inner) <= stop_of(outer)


def stop_of(interval: Interval) -> int:
    assert interval.stop_ns is not None
    return interval.stop_ns


def closeness(interval: Interval) -> tuple[int, int, int]:
    return interval.start_ns, -stop_of(interval), interval.start_seq


def charged(timeline: Timeline, group: Group) -> Samples:
    """Return a group's samples; a stack is of interval ids."""
    own = [one for one in timeline.intervals if one.process == group[0] and one.stop_ns is not None]
    tops = [one for one in own if one.is_top_level and group_of(one) == group]
    inside = [one for one in own if one in tops or any(encloses(top, one) for top in tops)]
    moments = sorted({moment for one in inside for moment in (one.start_ns, stop_of(one))})
    samples: Samples = []
    for start_ns, stop_ns in pairwise(moments):
        covering = [one for one in inside if one.start_ns <= start_ns and stop_ns <= stop_of(one)]
        if not covering:
            continue
        innermost: Interval | None = max(covering, key=closeness)
        stack: list[Interval] = []
        while innermost is not None:
            stack.insert(0, innermost)
            around = [one for one in inside if encloses(one, innermost)]
            innermost = max(around, key=closeness, default=None)
        assert stack[0] in tops
        check_against_the_reducer(stack, tops, own)
        ids = tuple(str(one.interval) for one in stack)
        if samples and samples[-1][0] == ids:
            samples[-1] = (ids, samples[-1][1] + stop_ns - start_ns)
        else:
            samples.append((ids, stop_ns - start_ns))
    return samples


def check_against_the_reducer(stack: list[Interval], tops: list[Interval], own: list[Interval]) -> None:
    """A stack is the reducer's own chain of enclosing intervals, wherever that leads to a top-level one."""
    by_id = {one.interval: one for one in own}
    chain = [stack[-1]]
    while chain[0] not in tops and chain[0].enclosing is not None:
        chain.insert(0, by_id[chain[0].enclosing])
    assert chain == stack or chain[0] not in tops


def with_ids(timeline: Timeline) -> Timeline:
    """Return a timeline in which each interval's component is its id, so that frames tell them apart."""
    return replace(
        timeline, intervals=tuple(one._replace(component=str(one.interval)) for one in timeline.intervals)
    )


def ids(samples: Samples) -> Samples:
    """Return samples of such a timeline as stacks of ids."""
    return [(tuple(name.split(" (")[0].split(" · ")[-1] for name in stack), ns) for stack, ns in samples]


@given(sessions())
def test_each_instant_is_charged_to_what_is_innermost_and_no_other(events: list[Event]) -> None:
    timeline = with_ids(reduce(events))
    graphs = flame_graphs(timeline)
    assert sums(graphs) == totals(timeline)
    for profile in graphs.profiles:
        group = (profile.process, *profile.group)
        assert ids(named(graphs, profile)) == charged(timeline, group)
        assert all(ns > 0 for _, ns in profile.samples)


@given(sessions())
def test_the_same_events_give_the_same_file(events: list[Event]) -> None:
    graphs = flame_graphs(reduce(events))
    assert graphs == flame_graphs(reduce(reversed(events)))
    assert speedscope("s", graphs) == speedscope("s", graphs)


@pytest.mark.parametrize(("name", "session"), SESSIONS)
def test_what_was_really_recorded_adds_up(name: str, session: str) -> None:
    timeline = kept(name).timeline(session)
    graphs = flame_graphs(timeline)
    assert sums(graphs) == totals(timeline)
    assert len(graphs.profiles) >= 1
    numbers = [profile.total_ns for profile in graphs.profiles]
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.parametrize(("name", "session"), SESSIONS[:3])
def test_what_was_really_recorded_is_charged_as_defined(name: str, session: str) -> None:
    timeline = with_ids(kept(name).timeline(session))
    graphs = flame_graphs(timeline)
    for profile in graphs.profiles:
        assert ids(named(graphs, profile)) == charged(timeline, (profile.process, *profile.group))


def test_every_start_that_was_kept_adds_up() -> None:
    for timeline in starts.warm():
        assert sums(flame_graphs(timeline)) == totals(timeline)


@given(sessions())
def test_what_is_summed_up_has_the_same_totals_and_no_stack_twice(events: list[Event]) -> None:
    timeline = reduce(events)
    whole, graphs = flame_graphs(timeline), flame_graphs(timeline, most_samples=4)
    assert sums(graphs) == totals(timeline)
    if not graphs.is_summed_up:
        assert graphs == whole
        assert sum(len(profile.samples) for profile in whole.profiles) <= 4
        return
    for profile in graphs.profiles:
        stacks = [stack for stack, _ in profile.samples]
        assert len(set(stacks)) == len(stacks)
        # What has a frame of its own has it in the order of time as well.
        (own,) = (one for one in whole.profiles if (one.process, one.group) == profile[1:3])
        seen = {stack[:depth] for stack, _ in named(whole, own) for depth in range(len(stack) + 1)}
        assert {stack for stack, _ in named(graphs, profile) if OTHER.name not in stack} <= seen
    # Each of the four stacks, and each profile, has at most one other in it.
    assert sum(len(profile.samples) for profile in graphs.profiles) <= 2 * 4 + len(graphs.profiles)


class TestSamples:
    def test_what_is_enclosed_is_above_what_encloses_it(self) -> None:
        tape = Tape()
        tape.span(0, 0, 10, stage="torch_compile", source="monitor", role="encoder")
        tape.span(1, 2, 5, stage="dynamo")
        assert only(tape) == [
            (("torch_compile",), 2), (("torch_compile", "dynamo"), 3), (("torch_compile",), 5)
        ]  # fmt: skip

    def test_what_crosses_in_another_thread_is_charged_once_and_to_what_began_last(self) -> None:
        tape = Tape()
        tape.span(0, 0, 10, stage="a", role="encoder", thread="one")
        tape.span(1, 6, 15, stage="b", role="encoder", thread="two")
        assert only(tape) == [(("a",), 6), (("b",), 9)]

    def test_what_went_on_all_the_while_is_charged_again_afterwards(self) -> None:
        tape = Tape()
        tape.span(0, 0, 20, stage="a", role="encoder", thread="one")
        tape.span(1, 2, 12, stage="b", thread="two")
        tape.span(2, 4, 9, stage="c", thread="one")
        tape.span(3, 8, 14, stage="d", thread="three")
        assert only(tape) == [
            (("a",), 2), (("a", "b"), 2), (("a", "b", "c"), 4), (("a", "d"), 6), (("a",), 6)
        ]  # fmt: skip

    def test_what_merely_crosses_a_role_is_no_part_of_it(self) -> None:
        tape = Tape()
        tape.span(0, 0, 10, stage="a", role="encoder", thread="one")
        tape.span(1, 5, 15, stage="warmup", source="engine", thread="two")
        graphs = flame_graphs(reduce(tape.events))
        assert {profile.group[0]: named(graphs, profile) for profile in graphs.profiles} == {
            "encoder": [(("a",), 10)],
            None: [(("warmup",), 10)],
        }

    def test_what_reaches_beyond_a_role_is_no_part_of_a_stack(self) -> None:
        tape = Tape()
        tape.span(0, 0, 10, stage="a", role="encoder", thread="one")
        tape.span(1, 2, 15, stage="warmup", source="engine", thread="two")
        tape.span(2, 3, 8, stage="b", role="encoder", thread="two")
        graphs = flame_graphs(reduce(tape.events))
        (encoder,) = [profile for profile in graphs.profiles if profile.group[0] == "encoder"]
        assert named(graphs, encoder) == [(("a",), 3), (("a", "b"), 5), (("a",), 2)]

    def test_neighbours_with_one_stack_are_one_sample(self) -> None:
        tape = Tape()
        tape.span(0, 0, 10, stage="torch_compile", source="monitor", role="encoder")
        tape.span(1, 2, 5)
        tape.span(2, 5, 9)
        assert only(tape) == [
            (("torch_compile",), 2), (("torch_compile", "dynamo"), 7), (("torch_compile",), 1)
        ]  # fmt: skip

    def test_what_is_open_is_in_no_profile(self) -> None:
        tape = Tape()
        tape.start(0, 0, role="encoder")
        tape.span(1, 2, 5, role="drafter")
        assert names_of(tape) == ["p · drafter · compile"]

    def test_what_takes_no_time_is_in_no_profile(self) -> None:
        tape = Tape()
        tape.span(0, 3, 3, role="encoder")
        assert names_of(tape) == []

    def test_what_is_too_deep_is_charged_to_the_deepest_that_is_shown(self) -> None:
        tape = Tape()
        depth = DEEPEST + 20
        for interval in range(depth):
            tape.start(interval, interval, stage=f"s{interval}", role="encoder")
        for interval in reversed(range(depth)):
            tape.stop(interval, 2 * depth - interval)
        samples = only(tape)
        assert sum(ns for _, ns in samples) == 2 * depth
        assert max(len(stack) for stack, _ in samples) == DEEPEST


class TestNames:
    def test_a_profile_is_named_by_process_role_and_activity(self) -> None:
        tape = Tape()
        tape.join(name="EngineCore")
        tape.span(0, 0, 9, role="encoder")
        tape.span(1, 10, 12, stage="engine_init", source="engine")
        assert names_of(tape) == ["EngineCore · encoder · compile", "EngineCore · (whole process) · startup"]

    def test_a_name_that_would_fill_the_screen_is_cut(self) -> None:
        tape = Tape()
        tape.join(name=LONG)
        tape.span(0, 0, 9, role="a\n  b")
        (name,) = names_of(tape)
        assert name == f"{'x' * 39}… · a b · compile"

    def test_processes_of_one_name_are_told_apart(self) -> None:
        tape = Tape()
        for process in ("1-a", "2-b"):
            tape.join(process=process)
            tape.span(0, 0, 9, role="encoder", process=process)
        assert names_of(tape) == ["Worker [1-a] · encoder · compile", "Worker [2-b] · encoder · compile"]

    def test_a_frame_says_its_component_its_failure_and_its_role_where_that_changes(self) -> None:
        tape = Tape()
        tape.start(0, 0, stage="warmup", source="engine")
        tape.start(1, 0, stage="torch_compile", source="monitor", role="encoder", component="Block")
        tape.start(2, 0, parent=1)
        tape.stop(2, 9, outcome="failed", error="ValueError")
        tape.stop(1, 9)
        tape.stop(0, 9)
        graphs = flame_graphs(reduce(tape.events))
        assert {frame.name: frame.source for frame in graphs.frames} == {
            "warmup": "engine",
            "torch_compile · encoder · Block": "monitor",
            "dynamo (failed)": "torch",
            "torch_compile · Block": "monitor",
        }


def test_the_file_is_as_its_schema_says() -> None:
    try:
        its_schema = schema()
    except npm.NotAvailable as error:
        missing(f"NO SPEEDSCOPE: {error}")
    for events in (hostile_events(HOSTILE), hostile_events(LONG), deep_session(500).events):
        jsonschema.validate(json.loads(speedscope("x", flame_graphs(reduce(events)))), its_schema)


def test_what_is_shown_first_is_what_has_the_most_to_show() -> None:
    file = json.loads(speedscope("x", flame_graphs(kept("vllm").timeline("vllm cold"))))
    shown = file["profiles"][file["activeProfileIndex"]]
    assert shown["name"] == "Worker rank 0 · (whole process) · startup"
    assert len(shown["samples"]) == max(len(profile["samples"]) for profile in file["profiles"])


@pytest.mark.parametrize("shape", ["nested", "roles in turn", "never ended"])
def test_drawing_takes_time_by_the_number_of_intervals_and_no_more(shape: str) -> None:
    events_of = {"nested": nested, "roles in turn": roles_in_turn, "never ended": never_ended}[shape]

    def drawing(intervals: int) -> Callable[[], object]:
        timeline = reduce(events_of(intervals))
        assert sums(flame_graphs(timeline)) == totals(timeline)
        return lambda: speedscope("x", flame_graphs(timeline))

    assert_linear(drawing, 40_000)


def nested(number: int) -> list[Event]:
    return deep_session(number).events


def roles_in_turn(number: int) -> list[Event]:
    builder = SessionBuilder()
    builder.begin()
    whole = builder.start(0, "engine_init", source="engine")
    for n in range(number // 2):
        outer = builder.start(4 * n, "torch_compile", role=f"role {n % 500}", source="monitor")
        inner = builder.start(4 * n + 1, "dynamo", source="torch", parent=outer)
        builder.stop(4 * n + 2, inner)
        builder.stop(4 * n + 3, outer)
    builder.stop(4 * number, whole)
    return builder.events


def never_ended(number: int) -> list[Event]:
    builder = SessionBuilder()
    builder.begin()
    for n in range(number):
        builder.start(n, f"stage {n % 50}", role="encoder", source="user", activity="compile")
    builder.end(number)
    return builder.events


# On the command line.


class TestReport:
    @pytest.fixture
    def run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[..., tuple[int, str, str]]:
        """Return what runs `report` on the demo's ledger, and gives its exit code, output and errors."""
        monkeypatch.chdir(tmp_path)
        keep(tmp_path / "startup.db", list(kept("demo").events("demo cold")))

        def run(*arguments: object) -> tuple[int, str, str]:
            words = [str(argument) for argument in arguments]
            monkeypatch.setattr(sys, "argv", ["compile-ledger", "report", "startup.db", *words])
            with pytest.raises(SystemExit) as ended:
                main()
            out, err = capsys.readouterr()
            return int(str(ended.value.code)), out, err

        return run

    def test_it_writes_the_flame_graphs_and_says_so(self, run: Any, tmp_path: Path) -> None:
        code, out, err = run("--flame", "a <b> 'c'.json")
        assert (code, out) == (0, "")
        file = json.loads((tmp_path / "a <b> 'c'.json").read_text())
        assert file["name"] == "demo cold"
        with Ledger.open(tmp_path / "startup.db") as ledger:
            expected = ledger.sql("SELECT total_ns FROM role_totals WHERE total_ns > 0 ORDER BY 1 DESC")
        assert err == (
            f"a <b> 'c'.json: demo cold, {len(expected)} flame graphs; "
            "open it at https://www.speedscope.app, where it stays on your machine\n"
        )
        assert [sum(one["weights"]) for one in file["profiles"]] == [row["total_ns"] for row in expected]

    def test_it_can_write_a_page_as_well(self, run: Any, tmp_path: Path) -> None:
        code, out, err = run("--flame", "x.json", "--html", "x.html")
        assert (code, out) == (0, "")
        assert [line.partition(":")[0] for line in err.splitlines()] == ["x.html", "x.json"]
        assert (tmp_path / "x.html").stat().st_size > 0
        assert (tmp_path / "x.json").stat().st_size > 0

    def test_a_file_that_is_there_is_overwritten_only_with_force(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text("before")
        refused = (2, "", "compile-ledger: x.json: already exists; choose another name or use --force\n")
        assert run("--flame", "x.json") == refused
        assert run("--flame", "x.json", "--html", "x.html") == refused
        assert not (tmp_path / "x.html").exists(), "it is said before any work"
        assert (tmp_path / "x.json").read_text() == "before"
        assert run("--flame", "x.json", "--force")[0] == 0
        assert json.loads((tmp_path / "x.json").read_text())["name"] == "demo cold"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--flame", "x.json", "--json"], "--json and --flame were both given"),
            (["--flame", "x.json", "--html", "./x.json"], "--html and --flame both name"),
            (["--flame", "."], "is a folder; name a file to write"),
            (["--flame", "none/x.json"], "no such folder"),
            (["--flame", "startup.db"], "is a ledger or another database"),
            (["--flame", "x.json", "--session", "nothing"], "no session 'nothing'"),
            (["--flame", "x.json", "--against", "demo cold"], "--against needs --html"),
        ],
    )
    def test_wrong_use_is_one_line_and_writes_nothing(
        self, run: Any, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        before = {file: file.read_bytes() for file in tmp_path.iterdir()}
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before

    def test_a_session_without_a_time_is_told_in_one_line(self, run: Any, tmp_path: Path) -> None:
        builder = SessionBuilder("empty")
        builder.begin(label="empty")
        builder.start(5, "dynamo", source="torch")
        keep(tmp_path / "startup.db", builder.events)
        code, out, err = run("--flame", "x.json", "--session", "empty")
        assert (code, out) == (2, "")
        assert err == "compile-ledger: empty: no stage of this session has ended yet; name another session\n"
        assert not (tmp_path / "x.json").exists()

    def test_it_needs_no_extra(self, run: Any, tmp_path: Path) -> None:
        program = (
            "import sys; sys.modules.update(dict.fromkeys(['altair', 'jinja2', 'vl_convert', 'torch'])); "
            "from ledger.cli import main; main()"
        )
        command = [sys.executable, "-c", program, "report", "startup.db", "--flame", "x.json"]
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)


def keep(file: Path, events: list[Event]) -> None:
    """Put events into a ledger."""
    store = Store.open(file)
    store.append(list(map(to_row, events)))
    store.close()
    Ledger.open(file).close()


# In the real speedscope.


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        found = chromium()
    except NoBrowser as error:
        missing(f"NO BROWSER, THE FLAME GRAPHS ARE NOT OPENED: {error}")
        return
    with sync_playwright() as playwright:
        # Root, as which CI runs, has no sandbox of Chromium's.
        launched = playwright.chromium.launch(
            executable_path=found.executable, args=["--no-sandbox"], env={**os.environ, **found.environment}
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open a session's flame graphs in speedscope; it may ask nothing of a network, and report no error."""
    faults: list[str] = []
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()

    def note(kind: str, text: str) -> None:
        # Chromium warns that drawing in software is slow.
        if kind not in ("log", "timeEnd", "warning"):
            faults.append(f"{kind}: {text}")

    page.on("console", lambda message: note(message.type, message.text))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    page.on("request", lambda asked: asked.url.startswith("file:") or faults.append(f"asked for {asked.url}"))

    def open_session(ledger: Ledger, session: str) -> Page:
        file = tmp_path / "flame.json"
        timeline = ledger.timeline(session)
        file.write_bytes(speedscope(session, flame_graphs(timeline)))
        try:
            page.goto(address(file, tmp_path))
        except npm.NotAvailable as error:
            missing(f"NO SPEEDSCOPE, THE FLAME GRAPHS ARE NOT OPENED: {error}")
        expect(page.get_by_text("Sandwich")).to_be_visible()
        return page

    yield open_session
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{request.node.name}.png")
    page.context.close()
    assert faults == []


def test_speedscope_shows_the_profiles_and_their_frames(opened: Callable[..., Page]) -> None:
    timeline = kept("vllm").timeline("vllm cold")
    names = [one["name"] for one in json.loads(speedscope("x", flame_graphs(timeline)))["profiles"]]

    def place(name: str) -> str:
        return f"{name} ({names.index(name) + 1}/{len(names)})"

    page = opened(kept("vllm"), "vllm cold")
    expect(page).to_have_title("vllm cold - speedscope")
    page.get_by_text(place("Worker rank 0 · (whole process) · startup")).click()
    page.get_by_text("Worker rank 0 · encoder · compile").click()
    expect(page.get_by_text(place("Worker rank 0 · encoder · compile"))).to_be_visible()
    page.get_by_text("Sandwich").click()
    for name in ("Scheduler.codegen", "compile_file"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    page.get_by_text("Total", exact=True).click()
    longest = page.get_by_role("row").filter(has_text="torch_compile · Qwen2_5_VisionPatchEmbed")
    took = sum(
        one.duration_ns or 0
        for one in timeline.intervals
        if (one.stage, one.component) == ("torch_compile", "Qwen2_5_VisionPatchEmbed")
    )
    expect(longest).to_contain_text(f"{took / 1e9:.2f}s (")


def test_speedscope_draws_what_the_sandwich_lists(opened: Callable[..., Page]) -> None:
    page = opened(kept("demo"), "killed")
    page.get_by_text(re.compile(r"^killed\.py · .* \(\d+/\d+\)$")).click()
    page.get_by_text("killed.py · model · compile").click()
    page.get_by_text("Sandwich").click()
    page.get_by_text("Total", exact=True).click()  # only rows in sight are there at all
    expect(page.get_by_text("dynamo (abandoned)", exact=True)).to_be_visible()
    page.get_by_text("Left Heavy").click()
    tooltip = page.get_by_text("dynamo (abandoned)")
    for moved in range(100):  # it is there once the page is drawn, and the mouse moves
        page.mouse.move(300 + moved, 155)
        page.wait_for_timeout(50)
        if tooltip.is_visible():
            break
    expect(tooltip).to_be_visible()


@pytest.mark.parametrize("text", [HOSTILE, LONG], ids=["hostile", "long"])
def test_names_stay_text(opened: Callable[..., Page], text: str) -> None:
    page = opened(MemoryLedger(hostile_events(text)), text)
    page.get_by_text("Sandwich").click()
    expect(page.get_by_text(" ".join(text.split())[:40]).first).to_be_visible()
    # What is longer than the bar at the top would cover its buttons.
    page.get_by_text("Time Order").click()
    page.get_by_text("Export").hover()
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert page.locator("script").count() <= 3
