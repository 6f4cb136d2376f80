"""Writes plain values as JSON without the help of `json` or pydantic."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final, TypeAlias

    Plain: TypeAlias = "str | int | list[str] | tuple[str, ...] | Mapping[str, str | int] | None"
    """What the events hold that are written from here."""

_ESCAPES: "Final" = {
    **{code: f"\\u{code:04x}" for code in range(32)},
    **str.maketrans(
        {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b"}
    ),
}


def json_text(value: str) -> bytes:
    """Return a string as JSON; what UTF-8 can't say becomes a question mark.

    Raises TypeError where it is no string.
    """
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{type(value).__name__} where a text should be")
    if value.isascii() and value.isprintable() and '"' not in value and "\\" not in value:
        return b'"%b"' % value.encode()  # as nearly all are
    return b'"%b"' % value.translate(_ESCAPES).encode("utf-8", "replace")


def json_value(value: "Plain") -> bytes:
    """Return a value as JSON. Raises TypeError where it is of another type."""
    if value is None:
        return b"null"
    if type(value) is int:
        return b"%d" % value
    if isinstance(value, (list, tuple)):
        return b"[%b]" % b",".join(map(json_text, value))
    if isinstance(value, dict):
        return b"{%b}" % b",".join(b"%b:%b" % (json_text(k), json_value(v)) for k, v in value.items())
    return json_text(value)  # pyright: ignore[reportArgumentType]


def json_fields(fields: "Mapping[str, Plain]") -> bytes:
    """Return the fields as they stand in a line, each after a comma, without what is none."""
    return b"".join(
        b",%b:%b" % (json_text(name), json_value(value))
        for name, value in fields.items()
        if value is not None
    )
