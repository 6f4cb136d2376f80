"""What the descriptions of tables and columns have in common."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, get_args

from ledger.vocabulary import ROLE_OF_TORCH, STAGES, ProcessOutcome, Source


class Relation(NamedTuple):
    """A table or a view, described."""

    description: str
    columns: Mapping[str, str]
    """The description of each column, in the table's order."""
    is_internal: bool = False
    """Whether it only serves the ledger's own upkeep: its columns are not promised."""


def one_of(names: Any) -> str:
    """Return the names of a Literal as a list in words."""
    *others, last = get_args(names)
    return f"{', '.join(others)} or {last}"


IN_SECONDS: Final = "The same, in seconds."
SESSION: Final = "The session: one start-up of a program, over all its processes."
PROCESS: Final = "The process, by its id in the session; its name is in processes."
ROLE: Final = (
    "The part of the model that the time is charged to: language_model, encoder, drafter or another name; "
    f"{ROLE_OF_TORCH} for torch.compile outside any role; NULL for what serves the whole process."
)
ACTIVITY: Final = f"What kind of work the stage is: {', '.join(STAGES)}, or another word."
STAGE: Final = "The named phase, as torch_compile, dynamo or weights_load."
STAGE_OF_CLAIM: Final = "The stage that the claim speaks of; NULL where it speaks of none."
COMPONENT: Final = (
    "The piece inside the role, by the host's own tag: backbone, Qwen2_5_VisionBlock, eagle_head."
)
SOURCE: Final = f"Whose clock it is: {one_of(Source)}."
SOURCE_OF_CLAIM: Final = f"Who claims it: {one_of(Source)}."
THREAD: Final = "The thread, by its name and id."
INTERVAL: Final = "The interval's id, unique in its process."
CLAIM: Final = "The claim's id, unique in its process."
CLAIMED_NS: Final = "The duration that was claimed, in nanoseconds."
CLOCK: Final = "in nanoseconds of the host's monotonic clock, which no other host and no other boot shares"
FIRST_CLOCK: Final = "in nanoseconds of the monotonic clock of the session's first process"
AT_NS: Final = f"When, {CLOCK}."
PROCESS_OUTCOME: Final = f"{one_of(ProcessOutcome)}: lost is one that ended without saying so."
TOP_LEVEL: Final = "that no other interval of the same process, role and activity encloses"
