"""What a process says of itself: its program, and who it is; at first, where that changes, and at last."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ledger_birth.json_text import Plain
    from ledger_birth.process_info import ProcessInfo

    Said = tuple[str, Mapping[str, Plain]]
    """An event's kind and fields."""


class Target:
    """Where events go: the ledger, and the session with its label."""

    __slots__ = ("begins_session", "label", "ledger", "session")

    def __init__(self, ledger: str, session: str, label: "str | None", *, begins_session: bool) -> None:
        self.ledger = ledger
        self.session = session
        self.label = label
        self.begins_session = begins_session
        """Whether this process made the session's id, and so says when it ends."""


class SelfDescription:
    """Knows what was said already. Who writes it says when that has come about."""

    def __init__(
        self,
        target: Target,
        describe: "Callable[[], Mapping[str, Plain]]",
        info: "ProcessInfo",
        wall_ns: int,
    ) -> None:
        self.target = target
        self.describe = describe
        """Returns the program's own fields of `session_started`."""
        self.info = info
        self.wall_ns = wall_ns
        self._said: dict[str, Mapping[str, Plain]] = {}
        self._saying: dict[str, Mapping[str, Plain]] = {}
        self._has_ended_session = False

    def at_first(self) -> "Iterator[Said]":
        """Yield what stands at the beginning of a journal."""
        self._saying = {"process_joined": self.info.changing_fields()}
        if (program := self._said.get("session_started")) is None:
            program = self._program()
            yield "session_started", {**program, "wall_ns": self.wall_ns}
        self._saying["session_started"] = program
        yield "process_joined", {**self.info.fields(), "wall_ns": self.wall_ns}

    def began(self) -> None:
        """Keep that what stands at the beginning is written."""
        self._said = self._saying

    def changes(self) -> "Iterator[Said]":
        """Yield what is to be said anew."""
        now = {"process_joined": self.info.changing_fields(), "session_started": self._program()}
        for kind, fields in now.items():
            if fields != self._said.get(kind):
                yield kind, fields

    def said(self, kind: str, fields: "Mapping[str, Plain]") -> None:
        """Keep that something is written."""
        self._said[kind] = fields

    def session_end(self, outcome: str) -> "Iterator[Said]":
        """Yield that the session ended, where this process began it and has not said so yet."""
        if self.target.begins_session and not self._has_ended_session:
            yield "session_ended", {"outcome": outcome}

    def ended(self) -> None:
        """Keep that the end of the session is written, where it was to be."""
        self._has_ended_session = True

    def _program(self) -> "Mapping[str, Plain]":
        return {"label": self.target.label, **self.describe()}
