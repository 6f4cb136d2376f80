"""The lines of starts, each but for its numbers: one template for each stage, made once in each thread."""

from __future__ import annotations

from _thread import _local  # pyright: ignore[reportPrivateUsage]
from typing import Final

from pydantic import ValidationError

from ledger.errors import InvalidEvent
from ledger.events.fork_guard import pydantic_guard
from ledger.events.models import StageStarted, first_fault
from ledger.recording.line_encoding import well_formed
from ledger_birth.line_writer import LineWriter
from ledger_birth.thread_names import thread_name

_DESCRIPTIONS_KEPT: Final = 10_000
"""Hosts have hundreds of stages; a host that makes names up without end must not fill the memory."""
_TEMPLATES_KEPT: Final = 1_000
"""The same, in each thread."""

Description = tuple[str, str, str | None, str | None, str | None]
"""What a start says of its stage: stage, source, activity, role, component."""


class StartTemplates:
    """The templates of one writer's starts."""

    __slots__ = ("_described", "_lines", "of_thread")

    def __init__(self, lines: LineWriter) -> None:
        self._lines: Final = lines
        self._described: dict[Description, bytes] = {}
        self.of_thread = _local()
        """Has what was made in the calling thread as its `templates`, once there is any."""

    def make(self, described: Description) -> tuple[bytes, bytes]:
        """Return how a stage's starts look in this thread: those that have a parent and no data, and others.

        For `LineWriter.put`: the first ends with a place for the parent, the second with one for all that is
        left. They are kept. Raises InvalidEvent.
        """
        about = self._described.get(described) or pydantic_guard.call(self._describe, described)
        fields = b',%b,"thread":%b' % (about, thread_name(self._lines.local))
        template = self._lines.template("stage_started") + b',"interval":%d' + fields.replace(b"%", b"%%")
        templates: dict[Description, tuple[bytes, bytes]] = vars(self.of_thread).setdefault("templates", {})
        if len(templates) >= _TEMPLATES_KEPT:
            templates.clear()
        both = templates[described] = template + b',"parent":%d}\n', template + b"%b"
        return both

    def _describe(self, described: Description) -> bytes:
        names = ("stage", "source", "activity", "role", "component")
        fields: dict[str, object] = {"session": "-", "process": "-", "seq": 0, "at_ns": 0, "interval": 0}
        fields.update(pair for pair in zip(names, described, strict=True) if pair[1] is not None)
        try:
            event = StageStarted.model_validate(well_formed(fields))
        except ValidationError as error:
            raise InvalidEvent(first_fault(error)) from None
        if len(self._described) >= _DESCRIPTIONS_KEPT:
            self._described.clear()
        text = event.model_dump_json(include=set(names), exclude_none=True).encode()[1:-1]
        self._described[described] = text
        return text
