"""Processes of one session that start beside each other, as tests of findings write them down; in seconds."""

from typing import Any

from ledger import Finding, reduce
from ledger.events.models import Event, ProcessJoined, StageStopped
from ledger.testing import SessionBuilder
from ledger.vocabulary import FindingName
from tests.support.reconciled import ns


class StartedProcess(SessionBuilder):
    """A process with a parent, and a rank where it has one."""

    def __init__(
        self,
        process: str,
        *,
        at: float = 0,
        name: str | None = None,
        rank: int | None = None,
        parent_pid: int = 1,
        host: str = "host",
    ) -> None:
        super().__init__(process=process)
        self.events.append(
            ProcessJoined(
                session=self.session, process=process, seq=0, at_ns=ns(at), name=name or process, rank=rank,
                parent_pid=parent_pid, host=host, boot_id=host,
            )
        )  # fmt: skip

    def stage(
        self, stage: str, start: float, stop: float, *, outcome: Any = "completed", **known: Any
    ) -> int:
        """An interval from one second to another."""
        data = known.pop("data", None)
        fields: dict[str, Any] = {"source": "engine", "activity": "startup", **known}
        interval = self.start(ns(start), stage, **fields)
        self.events.append(
            StageStopped(
                session=self.session, process=self.process, seq=len(self.events), at_ns=ns(stop),
                interval=interval, outcome=outcome, data=data,
            )
        )  # fmt: skip
        return interval

    def ready(self, at: float, name: str = "engine_ready") -> None:
        """The milestone at which its start is over."""
        self.milestone(ns(at), name)


def findings(name: FindingName, *processes: SessionBuilder | list[Event]) -> list[Finding]:
    """What of this name the session of some processes shows, what is worth most first."""
    events = [event for one in processes for event in (one if isinstance(one, list) else one.events)]
    return [one for one in reduce(events).findings if one.finding == name]
