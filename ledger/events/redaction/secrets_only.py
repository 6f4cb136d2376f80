"""Takes secrets out of the events of imported logs and traces, of which nothing else is replaced."""

from typing import cast

from ledger.events.models import (
    Event,
    GapNoted,
    SessionStarted,
    StageStarted,
    StageStopped,
    TotalClaimed,
)
from ledger_birth.secrets_hidden import (
    data_without_secrets,
    hide_in_command,
    hide_in_environment,
    hide_secrets,
)


def without_secrets(event: Event) -> Event:
    """Return an event without keys, tokens and passwords; the same one where it has none."""
    changed: dict[str, object] = {}
    if isinstance(event, SessionStarted):
        changed = {
            "command": hide_in_command(event.command),
            "environment": hide_in_environment(event.environment),
        }
    elif isinstance(event, GapNoted):
        changed = {"detail": event.detail and hide_secrets(event.detail)}
    elif isinstance(event, TotalClaimed):
        changed = {"text": event.text and hide_secrets(event.text)}
    elif isinstance(event, StageStopped):
        changed = {"error": event.error and hide_secrets(event.error)}
    if isinstance(event, (StageStarted, StageStopped, TotalClaimed)) and event.data is not None:
        changed["data"] = data_without_secrets(cast("dict[str, object]", event.data))
    changed = {name: value for name, value in changed.items() if value != getattr(event, name)}
    return event.model_copy(update=changed) if changed else event
