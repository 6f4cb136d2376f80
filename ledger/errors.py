"""The errors of this package. Each message is one line that says what to do next."""


class LedgerError(Exception):
    """Base class of all errors that this package raises deliberately."""


class InvalidEvent(LedgerError):
    """A mapping or a line is not an event; the message names the field."""


class ConflictingEvents(LedgerError):
    """Two different events have the same key (session, process, seq)."""


class LedgerMissing(LedgerError):
    """There is neither a ledger nor a folder of journals at the path."""


class NotALedger(LedgerError):
    """The file is not an SQLite database, or belongs to another program."""


class NewerLedger(LedgerError):
    """The ledger was written by a newer version of this package."""


class LedgerDamaged(LedgerError):
    """SQLite found the file's pages or its schema damaged."""


class LedgerLocked(LedgerError):
    """Another process held the ledger's lock for longer than the timeout."""


class LedgerNotWritable(LedgerError):
    """The ledger, its folder or its disk can't be written to."""


class SQLiteTooOld(LedgerError):
    """Python's SQLite library is older than 3.37 and lacks STRICT tables."""


class UnknownSession(LedgerError):
    """The ledger has no session of that name."""


class InvalidQuery(LedgerError):
    """SQLite rejected the query: bad SQL, or an attempt to write."""


class UnrecognisedFile(LedgerError):
    """No installed adapter reads the file, or it is empty."""


class InvalidLines(LedgerError):
    """An exported session is cut, reordered or edited, or is another kind of file."""


class NoSuchMoment(LedgerError):
    """A replay has no such moment, or ends before it."""


class InvalidBudget(LedgerError):
    """A budget has mistakes. The message has a line for each: where it is and what is allowed there."""


class MissingExtra(LedgerError, ImportError):
    """A feature needs a package from an optional extra."""

    @classmethod
    def of(cls, what: str, package: str | None, extra: str) -> "MissingExtra":
        """Return the error, with the command that installs the extra."""
        name = (package or "a package").partition(".")[0]
        return cls(f'{what} needs {name}, which is not installed: pip install "compile-ledger[{extra}]"')
