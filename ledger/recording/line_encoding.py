"""Encodes what a host hands over as JSON that can be read back, whatever it is."""

import json
import re
from collections.abc import Mapping, Sequence
from operator import index
from typing import Final, SupportsIndex, cast

from pydantic_core import from_json, to_json

from ledger.events.fork_guard import pydantic_guard
from ledger.events.models import INTEGER_LIMIT
from ledger_birth.accounting import NOT_RECORDED
from ledger_birth.host_exceptions import is_hosts_own
from ledger_birth.secret_names import is_secret_name

# Here and not at its first use, which may be in a forked child: another thread may have been importing then.
from ledger_birth.secret_patterns import without_secrets
from ledger_birth.secrets_hidden import HINTS, SHORTEST_VALUE, data_without_secrets

_HINT: Final = re.compile("|".join(map(re.escape, (*HINTS, "://"))))
_MOST_KEPT: Final = 4_000
_LONGEST_KEPT: Final = 200
_harmless_names: Final[set[str]] = set()
_harmless_texts: Final[set[str]] = set()
"""Of data: what has no secret in it, since most comes by the thousand."""


def data_field(data: Mapping[str, object], secrets: Sequence[str] = ()) -> bytes:
    """Return the `data` field as it stands in a line; what JSON doesn't know is written as its text.

    `secrets` are values that must not stand there. Raises ValueError, TypeError or RecursionError where there
    is no way to write it.
    """
    plain = dict(data)
    if _may_have_secret(plain, secrets):
        plain = data_without_secrets(plain, secrets)
    if all(map(_is_plain, plain.values())):
        return _as_json(plain)
    return pydantic_guard.call(_as_readable_json, plain)


def _as_json(plain: dict[str, object]) -> bytes:
    try:
        text = to_json(plain, inf_nan_mode="strings", serialize_unknown=True)
    except ValueError:
        text = to_json(well_formed(plain), inf_nan_mode="strings")
    return b',"data":' + text


def _as_readable_json(plain: dict[str, object]) -> bytes:
    text = _as_json(plain)
    # It may be too deep, or have a number too long, to be read back: better to learn that now.
    from_json(b"{%b}" % text[1:])
    return text


def _may_have_secret(data: Mapping[str, object], secrets: Sequence[str]) -> bool:
    """Return whether data has to be looked through: most has names and texts that came before."""
    for key, value in data.items():
        kind = type(value)
        if kind is str:
            text = cast("str", value)
            if type(key) is not str or (key not in _harmless_names and not _is_harmless_name(key)):
                return True
            if len(text) >= SHORTEST_VALUE and (
                (text not in _harmless_texts and not _is_harmless_text(text))
                or (secrets and any(secret in text for secret in secrets))
            ):
                return True
        elif value is not None and kind is not int and kind is not bool and kind is not float:
            return True
    return False


def _is_harmless_name(key: str) -> bool:
    if is_secret_name(key, is_prose=True):
        return False
    if len(_harmless_names) >= _MOST_KEPT:
        _harmless_names.clear()
    _harmless_names.add(key)
    return True


def _is_harmless_text(text: str) -> bool:
    if _HINT.search(text.lower()) is not None and without_secrets(text) != text:
        return False
    if len(text) <= _LONGEST_KEPT:
        if len(_harmless_texts) >= _MOST_KEPT:
            _harmless_texts.clear()
        _harmless_texts.add(text)
    return True


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
