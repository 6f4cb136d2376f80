"""Tells what a message of a log says, and which messages speak of time in words that are not known."""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, cast

from ledger_vllm.messages import Stated, Told, stated, told

_MAX_S: Final = 30_000_000
"""A year or so: what says that it took longer is no log of a start."""
_MAY_BE_KNOWN: Final = re.compile(
    r"(?:\[\S+\] )?(?:torch\.compile |Initial |Dynamo |Directly |Compiling |[Ss]aved |Loading |Initializing "
    r"|Model |JIT |Encoder |Graph |init |Starting |Using |Warming |rank )"
)
"""How the messages begin that `ledger_vllm.messages` knows. A log of requests has millions of others that
speak of time: to look for each message in each of them would take most of the time of an import."""
# Of the front end, which no interval is recorded of: only a log speaks of it.
_PROCESSOR_WARMUP: Final = re.compile(r"(?:\S+ ){1,5}warmup completed in (\d+(?:\.\d+)?)s")
_SPEAKS_OF_TIME: Final = re.compile(
    r"(?:\b(?:took|takes|(?:finished|completed) in)\b|\btime:|\b[Tt]ime spent\b).{0,80}?"
    r"(?<![\w.])\d+(?:\.\d+)?\s?(?:ms|m?sec|s|secs|seconds?|m|min|minutes?|h|hours?)\b",
    re.DOTALL,
)

Word = Literal["version", "arguments", "engine", "ready", "fails", "raised", "shuts_down"]


class Heard(NamedTuple):
    """Something that a message says of the start-up as a whole."""

    what: Word
    """Of these, `version` and `arguments` are what a front end begins with, and `engine` is an engine's own
    first line. `raised` names an exception: the last one after a failure is the one that left the process."""
    named: str
    """The version, or the exception; else some of the text."""

    @property
    def is_introduction(self) -> bool:
        """Tell whether a process says this when it begins."""
        return self.what in ("version", "arguments", "engine")


# The name of the group that matched is what was heard. From 0.15 on the version stands beside large letters
# that are made of blocks.
_HEARD: Final = re.compile(
    r"(?:vLLM (?:API )?server|[\u2580-\u259f\s]+) ?version +(?P<version>[^\s,]+).*"
    r"|(?P<arguments>non-default args: ).*"
    r"|(?P<fails>EngineCore (?:failed to start\.|encountered a fatal error\.|hit an exception: )"
    r"|WorkerProc (?:failed to start|hit an exception)\.).*"
    r"|(?P<shuts_down>\[shutdown\] ).*"
    r"|(?P<raised>[A-Za-z_][\w.]*(?:Error|Exception))(?:: .*)?"
    r"|.*(?P<ready>Application startup complete\.)",
    re.DOTALL,
)
_ENGINE_NEVER_CAME: Final = re.compile(r"(?:^|.* )RuntimeError: Engine core initialization failed\..*")

Meaning = Sequence[Stated] | Told | Heard
"""What a message says: durations, something that happened, or something of the start-up as a whole."""


def meaning_of(message: str) -> Meaning | None:
    """Return what a message says; None where it says nothing that is known and can be true."""
    if _MAY_BE_KNOWN.match(message) is not None:
        if said := stated(message):
            return said if all(one.seconds <= _MAX_S for one in said) else None
        if (happened := told(message)) is not None:
            if happened.what == "engine_begins":
                return Heard("engine", happened.version or "")
            return Heard("ready", message) if happened.what == "server_starts" else happened
    if (found := _PROCESSOR_WARMUP.fullmatch(message)) is not None:
        resolution_ns = 10 ** max(0, 9 - len(found[1].partition(".")[2]))
        return [Stated("warmup", "engine", float(found[1]), resolution_ns)]
    if (found := _HEARD.fullmatch(message)) is not None:
        what = cast("Word", found.lastgroup)
        return Heard(what, found[what])
    return None


def says_that_no_engine_came(text: str) -> bool:
    """Tell whether a line without a stamp is the end of a front end that waited for its engine in vain."""
    return _ENGINE_NEVER_CAME.fullmatch(text) is not None


def speaks_of_time(text: str) -> bool:
    """Tell whether a text seems to say how long something took."""
    return _SPEAKS_OF_TIME.search(text) is not None
