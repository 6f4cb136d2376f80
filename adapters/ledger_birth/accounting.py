"""Numbers the events of a process in turns, and keeps account of those that are not written."""

from itertools import count

from ledger_birth.turns import Busy, Turns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

NOT_RECORDED: "Final" = -1
"""The id of an interval whose start could not be recorded: its stop is not recorded either."""


class Accounting:
    """A number that was taken is an event that is written, or is counted as one that is not.

    Numbering and writing are one turn of a thread, so that a process killed between two threads' writes has
    no hole. A signal handler may come in the middle of its thread's turn, and write as well.
    """

    __slots__ = (
        "_given_up", "_turns", "accounted", "has_warned", "is_behind", "not_written", "seq", "settled",
        "turn", "warnings",
    )  # fmt: skip

    def __init__(self) -> None:
        self._turns = Turns()
        self.turn = self._turns.waiting
        """The context in which a thread numbers and writes. It raises Busy."""
        self.seq = count()
        self.settled: int = 0
        """How many numbers belong to events that are written, or that are counted as not written."""
        self.accounted = 0
        """How often numbers were counted as not written: a signal handler may count one whose event is on its
        way, which then is not settled twice."""
        self.not_written: int = 0
        """Events that are not in the journal, and are to be told of there."""
        self._given_up: list[str] = []
        """The same, of threads that did not get their turn: who has it counts them."""
        self.is_behind = False
        """Whether something is left to be said after the next event: events lost, or another name."""
        self.warnings: list[str] = []
        """What the host's log should say: only who has imported `logging` anyway says it."""
        self.has_warned = False

    def taken(self) -> int:
        """Return how many numbers are taken."""
        return int(repr(self.seq)[len("count(") : -1])

    def settle(self, number: int, accounted: int) -> None:
        """In a turn: say that events are written; `accounted` is from before they had numbers."""
        if self.accounted == accounted:
            self.settled += number
        else:
            self.account()

    def account(self) -> bool:
        """Count what had its number when something was raised before it was written; say if any."""
        try:
            with self.turn:
                holes = self.taken() - self.settled
                if holes > 0:
                    self.accounted += 1
                    self.not_written += holes
                    self.settled += holes
                self.count_given_up()
                self.is_behind = self.is_behind or self.not_written > 0
                return holes > 0
        except Busy:
            return False  # who has the turn will

    def give_up(self, why: Busy) -> int:
        """Count the event of a thread that did not get its turn; return NOT_RECORDED."""
        self._given_up.append("event")
        self.turn, self.is_behind = self._turns.at_once, True
        self.warn(f"events are not recorded: {why}")
        return NOT_RECORDED

    def count_given_up(self) -> None:
        """In a turn: count the events of threads that gave up; from now on they wait again."""
        self.turn = self._turns.waiting
        if number := len(self._given_up):
            del self._given_up[:number]
            self.not_written += number

    def warn(self, message: str) -> None:
        """Queue a warning, if it is this process's first: a host's log is not ours to fill."""
        if not self.has_warned:
            self.has_warned = True
            self.warnings.append(message)
