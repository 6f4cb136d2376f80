"""Describes what a reader can act upon, and the changes of caches' keys that one finding rests on."""

from collections.abc import Mapping
from typing import Final

from ledger.storage.schema_terms import COMPONENT, PROCESS, ROLE, SESSION, Relation, one_of
from ledger.vocabulary import FindingName

_COLUMNS: Final = {
    "session": SESSION,
    "finding": f"What it is: {one_of(FindingName)}.",
    "stake_ns": "At most what would be gone if it were mended, in nanoseconds. Findings overlap: they are "
    "never added up.",
    "process": f"{PROCESS} NULL where it is about several.",
    "role": ROLE,
    "component": COMPONENT,
    "summary": "What, how much and why, in a sentence.",
    "advice": "What to do, in a sentence.",
    "intervals": "The intervals that show it: a JSON array of {process, interval}.",
    "claims": "The claims that show it: a JSON array of {process, claim}.",
}
_NUMBER: Final = "Its place among the session's, what is worth most first."

FINDINGS_TABLES: Final[Mapping[str, Relation]] = {
    "findings": Relation(
        "What a reader can act upon, with the time at stake.",
        {**_COLUMNS, "stake_s": "stake_ns in seconds.", "number": _NUMBER},
    ),
    "cache_key_changes": Relation(
        "The parts of compile caches' keys that differ from those of the start before.",
        {
            "session": SESSION,
            "component": f"{COMPONENT} NULL for the environment's variables, a part of each one's key.",
            "part": "The part of the key, as the cache's owner names it: an environment variable, a hash.",
            "session_before": "The start before: the newest older session with a key of the component.",
            "is_new": "1 where no older session had this key as a whole, else 0.",
            "value_before": "What it was there: a digest, mostly; of several ranks, all.",
            "value_now": "What it is: a digest, mostly.",
        },
    ),
    "projected_findings": Relation(
        "What the view findings is made of.",
        {"session": SESSION, "number": _NUMBER, **_COLUMNS},
        is_internal=True,
    ),
}
