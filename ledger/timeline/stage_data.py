"""The `data` of stage events: JSON objects, kept as text and decoded only when they are read.

A session has hundreds of thousands of them and hardly any is read, so the reducer hands the texts on.
"""

from typing import cast

from pydantic import JsonValue
from pydantic_core import from_json

from ledger.events.rows import json_of


def decoded(text: str | None) -> dict[str, JsonValue] | None:
    """Return the object that a JSON text describes; None where there is none, or where it can't be read."""
    if text is None:
        return None
    try:
        value: object = from_json(text)
    except ValueError:  # cut off, or a number of more digits than Python reads
        return None
    return cast("dict[str, JsonValue]", value) if isinstance(value, dict) else None


def merged(started: str | None, stopped: str | None) -> str | None:
    """Return the data of an interval's start with that of its stop laid over it, as SQL's `intervals` has it.

    That is a JSON merge patch (RFC 7396): of one name the stop's value counts, and null removes the name.
    """
    if stopped is None or (started is None and "null" not in stopped):
        return stopped if started is None else started
    patch = decoded(stopped)
    if patch is None:
        return started
    return json_of(_patched(decoded(started) or {}, patch))


def _patched(target: JsonValue, patch: JsonValue) -> JsonValue:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _patched(result.get(name), value)
    return result
