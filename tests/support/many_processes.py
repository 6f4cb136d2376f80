"""Sessions of many processes that all do a little."""

from ledger import Event
from ledger.events.models import ProcessJoined, ProcessLeft, StageStarted, StageStopped


def side_by_side(number: int) -> list[Event]:
    """The first process started all the others."""
    return _session([0] * number)


def chained(number: int) -> list[Event]:
    """Each process started the next one."""
    return _session(list(range(-1, number - 1)))


def _session(parents: list[int]) -> list[Event]:
    events: list[Event] = []
    for place, parent in enumerate(parents):
        process, at_ns = f"process-{place:06d}", 1_000 * place
        events += (
            ProcessJoined(
                session="session", process=process, seq=0, at_ns=at_ns, name=f"Worker_{place}", host="host",
                boot_id="boot", pid=100 + place, parent_pid=100 + parent, wall_ns=10**18,
            ),
            StageStarted(
                session="session", process=process, seq=1, at_ns=at_ns + 10, interval=0,
                stage="torch_compile", source="monitor",
            ),
            StageStopped(
                session="session", process=process, seq=2, at_ns=at_ns + 5_000_000, interval=0,
                outcome="completed",
            ),
            ProcessLeft(
                session="session", process=process, seq=3, at_ns=at_ns + 6_000_000, outcome="completed",
                event_count=4,
            ),
        )  # fmt: skip
    return events
