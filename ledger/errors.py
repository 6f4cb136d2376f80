"""What can go wrong with a ledger, each as one line that says what to do next."""


class LedgerError(Exception):
    """The base of every error that this package raises on purpose."""


class InvalidEvent(LedgerError):
    """A mapping or a line is not an event; the message names the field."""


class ConflictingEvents(LedgerError):
    """Two different events have the same key (session, process, seq)."""


class LedgerMissing(LedgerError):
    """There is neither a ledger nor a folder of journals at the path."""


class NotALedger(LedgerError):
    """The file is not SQLite, or is a SQLite file of something else."""


class NewerLedger(LedgerError):
    """The ledger was written by a newer version of this package."""


class LedgerDamaged(LedgerError):
    """SQLite found the file's pages or its schema damaged."""


class LedgerLocked(LedgerError):
    """Another process holds the ledger's lock for longer than we wait."""


class LedgerNotWritable(LedgerError):
    """The ledger, its folder or its disk does not take what is to be written."""


class SQLiteTooOld(LedgerError):
    """Python's SQLite library is older than 3.37 and knows no STRICT tables."""


class UnknownSession(LedgerError):
    """The ledger has no session of that name."""


class InvalidQuery(LedgerError):
    """SQLite refused the query: bad SQL, or an attempt to write."""


class UnrecognisedFile(LedgerError):
    """A file is none that an installed adapter reads, or holds nothing."""


class InvalidLines(LedgerError):
    """A file of events as lines is cut, reordered or edited, or is something else."""


class NoSuchMoment(LedgerError):
    """A replay has no moment of that name, or none so late."""


class InvalidBudget(LedgerError):
    """A budget has mistakes: a line for each, which says where it is and what is allowed there."""


class MissingExtra(LedgerError):
    """What was asked for takes a package that is installed on demand alone."""
