"""Encodes what a host hands over as JSON that can be read back, whatever it is."""

import json
from collections.abc import Mapping
from operator import index
from typing import SupportsIndex, cast

from pydantic_core import from_json, to_json

from ledger.events.models import INTEGER_LIMIT
from ledger_birth.host_exceptions import is_hosts_own
from ledger_birth.line_writer import NOT_RECORDED


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


def interval_id(interval: object) -> int:
    """Return an interval's id, which is NOT_RECORDED of one that was not recorded.

    Raises ValueError or TypeError where it can be none.
    """
    number = interval if type(interval) is int else index(cast("SupportsIndex", interval))
    if not NOT_RECORDED <= number < INTEGER_LIMIT:
        raise ValueError(f"{number} is no interval's id")
    return number


def moment(at_ns: object) -> int:
    """Return a time that a host gives. Raises ValueError or TypeError where it can be none."""
    number = at_ns if type(at_ns) is int else index(cast("SupportsIndex", at_ns))
    if not 0 <= number < INTEGER_LIMIT:
        raise ValueError(f"at_ns: {number} is no time of the recorder's clock")
    return number


def text_of(value: object) -> str:
    """Return an object's text; that of its class where it has none that can be had."""
    try:
        return str.__str__(str(value))
    except BaseException as error:
        if is_hosts_own(error):
            raise
        return type(value).__name__


def well_formed(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields as JSON holds them: text that is valid UTF-8, and other objects as text."""
    plain = dict(fields)
    try:
        return from_json(to_json(plain, inf_nan_mode="strings", serialize_unknown=True))
    except ValueError:
        return from_json(json.dumps(plain, ensure_ascii=False, default=str).encode("utf-8", "replace"))
