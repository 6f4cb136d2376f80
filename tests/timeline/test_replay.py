"""A replay: events in order on one clock, the session as it was at each, and the command that shows it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import Event, Ledger, Recorder, parse_event, reduce
from ledger.cli.replay import Player
from ledger.durations import ns_of
from ledger.errors import ConflictingEvents, NoSuchMoment
from ledger.events.rows import to_row
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.timeline.replay import Replay
from tests.support.paths import DATA
from tests.support.random_sessions import sessions
from tests.support.terminals import terminal

S = 1_000_000_000


def replay_of(*builders: SessionBuilder) -> Replay:
    return Replay(to_row(event) for builder in builders for event in builder.events)


@pytest.fixture(scope="module")
def vllm() -> Ledger:
    lines = (DATA / "vllm.jsonl").read_bytes().splitlines()
    return MemoryLedger(parse_event(line) for line in lines if b'"process"' in line)


class TestOrder:
    def test_processes_of_one_host_are_in_the_order_of_their_clock(self) -> None:
        first, second = SessionBuilder(process="a"), SessionBuilder(process="b")
        # What each read of the wall is a little off: their clock is the same, and exact.
        first.begin(0, wall_ns=100 * S)
        second.begin(10, wall_ns=100 * S - 500)
        first.milestone(30, "third")
        second.milestone(20, "second")
        assert replay_of(first, second).at(6).milestones == ("second", "third")

    def test_hosts_are_laid_beside_each_other_by_the_wall(self) -> None:
        here, there = SessionBuilder(process="a"), SessionBuilder(process="b")
        here.begin(1_000 * S, wall_ns=100 * S, host="here")
        there.begin(5 * S, wall_ns=103 * S, host="there")
        here.milestone(1_005 * S, "here, 5 s later")
        there.milestone(6 * S, "there, 4 s later")
        replay = replay_of(here, there)
        assert [name for _, name in replay.reached] == ["there, 4 s later", "here, 5 s later"]
        assert replay.at(len(replay)).at_ns == 5 * S
        assert replay.unplaced == ()

    def test_a_process_of_which_nobody_knows_when_it_was_is_named(self) -> None:
        known, unknown = SessionBuilder(process="known"), SessionBuilder(process="unknown")
        known.begin(0, wall_ns=100 * S)
        unknown.start(77 * S, "dynamo", source="torch")
        replay = replay_of(known, unknown)
        assert replay.unplaced == ("unknown",)
        assert replay.at(len(replay)).open[0].open_ns == 0

    def test_two_events_under_one_key_are_no_replay(self) -> None:
        builder, other = SessionBuilder(), SessionBuilder()
        builder.milestone(1, "one")
        other.milestone(1, "another")
        assert len(replay_of(builder, builder)) == 1
        with pytest.raises(ConflictingEvents, match="seq 0"):
            replay_of(builder, other)
        foreign = SessionBuilder(session="other", process="other")
        foreign.milestone(1, "one")
        with pytest.raises(ConflictingEvents, match="two sessions"):
            replay_of(builder, foreign)


class TestMoments:
    def test_the_end_is_the_ledgers_own_timeline(self, vllm: Ledger) -> None:
        for session in vllm.sessions():
            replay = vllm.replay(session)
            assert replay.at(len(replay)).timeline == vllm.timeline(session)

    def test_totals_and_open_stages_are_those_of_the_timeline_then(self, vllm: Ledger) -> None:
        replay = vllm.replay("vllm cold")
        for position in range(0, len(replay), 97):
            moment = replay.at(position)
            timeline = moment.timeline
            known = {(t.process, t.role, t.activity, t.total_ns) for t in timeline.role_totals if t.total_ns}
            assert set(moment.totals) == known
            still_open = {(i.process, i.interval) for i in timeline.intervals if i.outcome == "open"}
            assert {(stage.process, stage.interval) for stage in moment.open} == still_open
            assert sorted(moment.claims) == sorted(timeline.claims)

    def test_every_event_comes_with_the_session_after_it(self, vllm: Ledger) -> None:
        replay = vllm.replay("vllm warm")
        seen: list[Event] = []
        for event, moment in replay:
            seen.append(event)
            assert moment.position == len(seen)
            assert len(moment.claims) == sum(one.kind == "total_claimed" for one in seen)
        assert moment.timeline == reduce(seen)

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(sessions(), st.data())
    def test_going_to_and_fro_shows_what_going_on_showed(
        self, events: list[Event], data: st.DataObject
    ) -> None:
        distinct = {(event.process, event.seq): event for event in events}
        replay, again = (Replay(map(to_row, distinct.values())) for _ in range(2))
        shown = [(again.at(0).open, again.at(0).totals)]
        shown += [(moment.open, moment.totals) for _, moment in again]
        for position in data.draw(st.lists(st.integers(0, len(replay)), max_size=8)):
            assert (replay.at(position).open, replay.at(position).totals) == shown[position]

    def test_checkpoints_are_where_the_events_are_many(self) -> None:
        builder = SessionBuilder()
        for number in range(1_500):
            builder.stop(2 * number + 1, builder.start(2 * number, "dynamo", role="encoder", source="torch"))
        replay = replay_of(builder)
        for position in (3_000, 0, 1, 999, 1_000, 1_001, 2_000, 2_999, 3_000):
            [*total] = replay.at(position).totals
            assert sum(one.total_ns for one in total) == position // 2
            assert len(replay.at(position).open) == position % 2


class TestUntil:
    @pytest.fixture
    def replay(self) -> Replay:
        builder = SessionBuilder(process="worker")
        builder.begin(10 * S)
        outer = builder.start(11 * S, "torch_compile", role="encoder", source="monitor")
        builder.milestone(12 * S, "half")
        builder.stop(14 * S, outer)
        ids = {("worker", event.seq): 100 + event.seq for event in builder.events}
        return Replay(map(to_row, builder.events), ids)

    def test_a_time_is_between_two_events(self, replay: Replay) -> None:
        moment = replay.until("3500 ms")
        assert (moment.position, moment.at_ns) == (4, 3_500_000_000)
        [stage] = moment.open
        assert stage.open_ns == 2_500_000_000
        assert replay.until("0 s").position == 2

    @pytest.mark.parametrize("name", ["half", "103", "worker:3"])
    def test_an_event_is_named_by_milestone_id_or_key(self, replay: Replay, name: str) -> None:
        assert replay.until(name).position == 4

    def test_what_is_not_there_is_said_with_what_is(self, replay: Replay) -> None:
        with pytest.raises(NoSuchMoment, match=r"milestone \(half\)"):
            replay.until("quarter")
        with pytest.raises(NoSuchMoment, match="5 events"):
            replay.at(6)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("20 s", 20 * S),
        ("1.5min", 90 * S),
        ("1 min 30 s", 90 * S),
        ("0.1 ms", 100_000),
        ("7us 1ns", 7_001),
        ("12", None),
        ("", None),
        ("s", None),
        ("1 second", None),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, ns: int | None) -> None:
    assert ns_of(text) == ns


class TestPlayer:
    @pytest.fixture
    def player(self) -> Player:
        builder = SessionBuilder()
        for number in range(300):
            builder.milestone(number * S // 10, f"m{number}") if number % 100 == 50 else builder.claim(
                number * S // 10, 5, source="engine"
            )
        return Player(replay_of(builder), 2.0, is_playing=True)

    def test_time_passes_as_fast_as_was_asked_for(self, player: Player) -> None:
        player.pass_time(1.0)
        assert (player.position, player.moment.at_ns) == (21, 2 * S)
        player.press("+")
        player.pass_time(0.5)
        assert player.position == 41
        player.press(" ")
        player.pass_time(100)
        assert player.position == 41
        player.press(" ")
        player.pass_time(100)
        assert (player.position, player.is_playing) == (300, False)

    def test_keys_go_to_events_and_milestones(self, player: Player) -> None:
        places = {"\x1b[C": 2, "\x1b[D": 1, "\x1b[6~": 101, "m": 151, "mM": 151, "\x1b[F": 300, "\x1b[H": 1}
        for keys, place in places.items():
            assert player.press(keys)
            assert player.position == place, keys
        assert player.press("?")
        assert not player.press("\x1b[Cq")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ledger.cli", *arguments]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "startup.db"
    with (
        Recorder.open(path, label="first") as recorder,
        recorder.stage("torch_compile", role="encoder", source="monitor"),
    ):
        recorder.milestone("engine_ready")
    return path


class TestCommand:
    def test_gives_the_state_at_a_moment(self, ledger: Path) -> None:
        until = command("replay", str(ledger), "--until", "engine_ready")
        shown = subprocess.run(until, capture_output=True, text=True, check=True).stdout
        assert "torch_compile" in shown
        assert "reached: engine_ready" in shown
        state = json.loads(subprocess.run([*until, "--json"], capture_output=True, check=True).stdout)
        assert [stage["stage"] for stage in state["open"]] == ["torch_compile"]
        assert (state["totals"], state["claims"]) == ([], [])

    def test_gives_programs_a_line_an_event(self, ledger: Path) -> None:
        shown = subprocess.run(command("replay", str(ledger), "--json"), capture_output=True, check=True)
        states = [json.loads(line) for line in shown.stdout.splitlines()]
        assert [state["position"] for state in states] == list(range(1, len(states) + 1))
        assert states[-1]["totals"][0]["role"] == "encoder"
        assert states[-1]["event"]["kind"] == "process_left"

    def test_plays_in_a_terminal_and_takes_keys(self, ledger: Path) -> None:
        with terminal(command("replay", str(ledger), "--step")) as screen:
            screen.wait_for("event 1 of ")
            screen.wait_for("paused")
            screen.type("m")
            screen.wait_for("reached: engine_ready")
            screen.type("q")
            assert screen.finish() == 0
        assert b"Traceback" not in screen.screen

    @pytest.mark.parametrize("arguments", [(), ("no.db",), ("startup.db", "--until", "never")])
    def test_says_in_one_line_what_is_wrong(self, ledger: Path, arguments: tuple[str, ...]) -> None:
        done = subprocess.run(
            command("replay", *arguments), capture_output=True, text=True, cwd=ledger.parent, check=False
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)


class TestWatch:
    def test_shows_what_another_process_records_until_that_is_over(self, tmp_path: Path) -> None:
        path = tmp_path / "live.db"
        recorder = Recorder.open(path)
        outer = recorder.start("torch_compile", role="encoder", source="monitor")
        with terminal(command("watch", str(path))) as screen:
            screen.wait_for("torch_compile")
            with recorder.stage("backend_compile", source="backend"):
                screen.wait_for("backend_compile")
            recorder.stop(outer)
            recorder.close()
            assert screen.finish() == 0
        assert b"completed" in screen.screen

    def test_of_what_is_over_already_shows_how_it_ended(self, ledger: Path) -> None:
        done = subprocess.run(command("watch", str(ledger)), capture_output=True, text=True, check=True)
        assert "compiled so far: encoder" in done.stdout
        assert ": ready after " in done.stdout

    def test_leaves_at_an_interrupt_without_a_word(self, tmp_path: Path) -> None:
        with Recorder.open(tmp_path / "live.db") as recorder, recorder.stage("dynamo", source="user"):
            watching = command("watch", str(tmp_path / "live.db"))
            with subprocess.Popen(watching, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
                assert watch.stdout is not None
                assert b"process" in os.read(watch.stdout.fileno(), 4096)
                watch.send_signal(signal.SIGINT)
                _, errors = watch.communicate(timeout=120)
        assert (watch.returncode, errors) == (0, b"")
