"""Encodes what a host hands over as JSON that can be read back, whatever it is."""

import json
from collections.abc import Mapping
from typing import cast

from pydantic_core import from_json, to_json


def data_field(data: Mapping[str, object]) -> bytes:
    """Return the `data` field as it stands in a line; what JSON doesn't know is written as its text.

    Raises ValueError, TypeError or RecursionError where there is no way to write it.
    """
    plain = dict(data)
    try:
        text = to_json(plain, inf_nan_mode="strings", serialize_unknown=True)
    except ValueError:
        text = to_json(well_formed(plain), inf_nan_mode="strings")
    if not all(map(_is_plain, plain.values())):
        # It may be too deep, or have a number too long, to be read back: better to learn that now.
        from_json(b'{"data":%b}' % text)
    return b',"data":' + text


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is int:
        return -(2**63) <= cast("int", value) < 2**63
    return kind is str or kind is bool or kind is float or value is None


def interval_id(interval: int) -> int:
    """Return an interval's id. Raises ValueError where it can be none."""
    if not 0 <= interval < 2**63:
        raise ValueError(f"{interval} is no interval's id")
    return interval


def well_formed(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields as JSON holds them: text that is valid UTF-8, and other objects as text."""
    plain = dict(fields)
    try:
        return from_json(to_json(plain, inf_nan_mode="strings", serialize_unknown=True))
    except ValueError:
        return from_json(json.dumps(plain, ensure_ascii=False, default=str).encode("utf-8", "replace"))
