"""A session over several hosts, each with a clock, a recording command and a ledger of its own."""

from ledger import Event, MilestoneReached, ProcessJoined, ProcessLeft, SessionEnded, Timeline, reduce
from ledger.testing import SessionBuilder

S = 1_000_000_000
WALL_NS = 1_800_000_000 * S


class Node:
    """A host whose clock is ahead of the others'. `record` starts a worker there a second after the start."""

    def __init__(self, name: str, ahead_s: int) -> None:
        self.name = name
        self.ahead_ns = ahead_s * S
        self.record = self._process(f"{name}-record", pid=10, parent_pid=1, at_s=0)
        self.worker = self._process(f"{name}-worker", pid=11, parent_pid=10, at_s=1)
        self.milestone(self.record, 0, "command_started")

    def _process(self, process: str, pid: int, parent_pid: int, at_s: int) -> SessionBuilder:
        builder = SessionBuilder("run-17", process)
        fields = {
            "session": "run-17", "process": process, "seq": 0, "name": process, "pid": pid,
            "parent_pid": parent_pid, "host": self.name, "boot_id": f"boot of {self.name}",
            "at_ns": self.ahead_ns + at_s * S, "wall_ns": WALL_NS + at_s * S,
        }  # fmt: skip
        builder.events.append(ProcessJoined.model_validate(fields))
        return builder

    def stage(self, start_s: int, stop_s: int) -> None:
        interval = self.worker.start(self.ahead_ns + start_s * S, "torch_compile", role="encoder")
        self.worker.stop(self.ahead_ns + stop_s * S, interval)

    def milestone(self, builder: SessionBuilder, at_s: int, name: str) -> None:
        builder.milestone(self.ahead_ns + at_s * S, name)

    def end(self, at_s: int, outcome: str) -> None:
        for kind, fields in ((ProcessLeft, {"event_count": 99}), (SessionEnded, {})):
            key = {
                "session": "run-17", "process": self.record.process, "seq": len(self.record.events),
                "at_ns": self.ahead_ns + at_s * S, "outcome": outcome,
            }  # fmt: skip
            self.record.events.append(kind.model_validate({**key, **fields}))

    @property
    def events(self) -> list[Event]:
        return [*self.record.events, *self.worker.events]


def charged(timeline: Timeline) -> list[tuple[str | None, int]]:
    """Return the worker that each piece with an interval belongs to, and its seconds."""
    return [
        (piece.process, piece.duration_ns // S)
        for piece in timeline.startup_breakdown
        if piece.interval is not None
    ]


def test_the_straggler_is_charged_whichever_host_it_is_on() -> None:
    for slow, fast in ((0, 1), (1, 0)):
        nodes = [Node("node0", 0), Node("node1", 5_000)]
        nodes[slow].stage(2, 9)
        nodes[fast].stage(2, 5)
        for node in nodes:
            node.milestone(node.worker, 10, "engine_ready")
        timeline = reduce([event for node in nodes for event in node.events])
        [window] = timeline.startup_windows
        assert (window.began_by, window.ended_by, window.duration_ns) == (
            "command_started",
            "engine_ready",
            10 * S,
        )
        assert charged(timeline) == [(f"node{slow}-worker", 7)]


def test_another_s_time_is_charged_once_the_first_host_is_done() -> None:
    nodes = [Node("node0", 0), Node("node1", 5_000)]
    nodes[0].stage(2, 4)
    nodes[1].stage(6, 7)
    nodes[1].milestone(nodes[1].worker, 8, "engine_ready")
    timeline = reduce([event for node in nodes for event in node.events])
    assert charged(timeline) == [("node0-worker", 2), ("node1-worker", 1)]
    [window] = timeline.startup_windows
    assert window.unattributed_ns == 5 * S


def test_it_has_failed_where_one_host_has_and_ends_with_the_last() -> None:
    for outcomes in (("failed", "completed"), ("completed", "failed")):
        nodes = [Node("node0", 0), Node("node1", 5_000)]
        for node, outcome, at_s in zip(nodes, outcomes, (4, 6), strict=True):
            node.end(at_s, outcome)
        session = reduce([event for node in nodes for event in node.events]).session
        assert session is not None
        assert session.outcome == "failed"
        assert session.ended_at == "2027-01-15T08:00:06.000000Z"


def test_what_other_launchers_start_there_stands_under_the_first() -> None:
    """Without a recording command on the second host, as with Ray, its workers are as far as node0's are."""
    nodes = [Node("node0", 0), Node("node1", 5_000)]
    nodes[0].stage(2, 5)
    nodes[1].stage(2, 9)
    events = [*nodes[0].events, *nodes[1].worker.events]
    nodes[0].milestone(nodes[0].worker, 10, "engine_ready")
    timeline = reduce([*events, nodes[0].worker.events[-1]])
    assert isinstance(nodes[0].worker.events[-1], MilestoneReached)
    assert charged(timeline) == [("node1-worker", 7)]
