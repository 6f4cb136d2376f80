"""Finds secrets in running text: by the names before them, and by their shapes."""

import re
from functools import lru_cache

from ledger_birth.secret_names import HEADERS, is_secret_name, name_words
from ledger_birth.secrets_hidden import HIDDEN, says_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAME: "Final" = re.compile(r"-{0,2}[A-Za-z_][\w.-]*")
_LONGEST: "Final" = 8_192
"""Characters of a quoted value, or of a list: the end of what nobody closes is looked for no further."""
_QUOTED: "Final" = (
    rf"""(?:"(?:\\.|[^"\\]){{0,{_LONGEST}}}"|'(?:\\.|[^'\\]){{0,{_LONGEST}}}'|`[^`]{{0,{_LONGEST}}}`"""
    rf"""|(?P<escaped>\\{{1,7}}["'])(?s:.{{0,{_LONGEST}}}?)(?P=escaped))"""
)
_LIST: "Final" = rf"(?:\[[^\]]{{0,{_LONGEST}}}\]|\([^)]{{0,{_LONGEST}}}\)|\{{[^}}]{{0,{_LONGEST}}}\}})"
_WORD: "Final" = r"[^\s\"'`;&|<>)\]}]"
_VALUE: "Final" = re.compile(
    # What may stand between a name and its value: `HF_TOKEN=`, `"token": `, `environ['KEY'] = `, `("KEY", `.
    r"(?P<closing>\\{0,7}[\"'`]?[\])}]?)(?P<between>\s{0,9}(?P<sign>=>|:=|==?|:|,)\s{0,9}|(?P<blank>\s{1,9}))"
    rf"(?P<value>{_LIST}|{_QUOTED}(?=[\s,;:\])}}]|\Z)"
    rf"|(?:{_QUOTED.replace('escaped', 'marks')}|{_WORD}){{1,200}})",
    re.DOTALL,
)
_REST: "Final" = re.compile(rf"{_WORD}*")
_HEADER: "Final" = re.compile(r"[^\r\n\"'`]+")
_WEAK: "Final" = frozenset(("token", "key", "keys", "auth", "pass", "pwd", "pw", "webhook", "bearer"))
"""Words that stand before a colon in any text: there, what comes after must look like a secret."""
_SCHEME: "Final" = re.compile(
    r"(?P<scheme>\b(?i:bearer|basic|token|apikey|digest))(?P<blank>\s{1,9})(?P<value>[\w.~+/=:-]{6,})"
)
_URL: "Final" = re.compile(r"(?P<protocol>[A-Za-z][\w+.-]{0,30})://(?P<login>[^\s/\"'`<>]{1,1000})@")
_PARAMETER: "Final" = re.compile(
    r"(?P<name>[?&;](?i:key|sig|signature|token|code|auth|password|pwd|x-amz-[a-z-]{1,30}|x-goog-[a-z-]{1,30}))"
    r"=(?P<value>[^&\s\"'`<>]+)"
)
_BEGIN: "Final" = r"(?<![A-Za-z0-9])"
_SHAPES: "Final" = re.compile(
    "|".join(
        (
            _BEGIN + r"sk-[A-Za-z0-9_-]{8,}",
            _BEGIN + r"(?:sk|rk|whsec)_(?:live|test)?_?[A-Za-z0-9]{16,}",
            _BEGIN + r"(?:hf|api_org|gsk|r8|npm|rpa|fw|sbp|ntn|lin_api|secret)_[A-Za-z0-9]{16,}",
            _BEGIN + r"(?:nvapi|pplx|tvly)-[\w-]{16,}",
            _BEGIN + r"gh[pousr]_[A-Za-z0-9]{16,}",
            _BEGIN + r"github_pat_\w{20,}",
            _BEGIN + r"(?:glpat|gldt|glrt|glptt)-[\w-]{16,}",
            _BEGIN + r"(?:xox[abeoprs]|xapp)-[\w-]{10,}",
            _BEGIN + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}",
            _BEGIN + r"AIza[\w-]{30,}",
            _BEGIN + r"ya29\.[\w-]{20,}",
            _BEGIN + r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
            _BEGIN + r"pypi-[\w-]{20,}",
            _BEGIN + r"dop_v1_[0-9a-f]{32,}",
            _BEGIN + r"SG\.[\w-]{16,}\.[\w-]{16,}",
            _BEGIN + r"lsv2_\w{20,}",
            _BEGIN + r"xai-[A-Za-z0-9]{20,}",
            _BEGIN + r"hv[sb]\.[\w-]{16,}",
            _BEGIN + r"dapi[0-9a-f]{32}",
            _BEGIN + r"tskey-[\w-]{16,}",
            _BEGIN + r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{20,}",
            _BEGIN + r"dckr_pat_[\w-]{16,}",
            _BEGIN + r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?s:.{0,8000}?)"
            r"(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
        )
    )
)  # fmt: skip


def without_secrets(text: str) -> str:
    """Return a text without secrets."""
    text = _without_named(text)
    text = _SHAPES.sub(HIDDEN, text)
    if "://" in text and "@" in text:
        text = _URL.sub(_url, text)
    text = _PARAMETER.sub(rf"\g<name>={HIDDEN}", text)
    return _SCHEME.sub(_scheme, text)


def _without_named(text: str) -> str:
    pieces: list[str] = []
    done = 0
    for found in _NAME.finditer(text):
        if found.start() < done:
            continue
        name = found[0].rstrip(".-")
        is_option = name[:1] == "-"
        if not _is_secret(name):
            continue
        end = found.start() + len(name)
        words = name_words(name)
        # A key that nobody quotes goes on after a blank; a header goes on to the end of its line.
        if (value := _VALUE.match(text, end)) is None or not _is_value(value, words, is_option=is_option):
            continue
        begin, stop = value.span("value")
        replaced = HIDDEN
        if HEADERS.intersection(words) and text[begin] not in "\"'`\\[({":
            header = _HEADER.match(text, begin)
            stop = header.end() if header else stop
        else:
            stop = _REST.match(text, stop).end() if text[stop - 1] not in "\"'`])}" else stop  # pyright: ignore[reportOptionalMemberAccess]
            replaced = _with_its_marks(text[begin:stop])
        pieces += (text[done:begin], replaced)
        done = stop
    return "".join((*pieces, text[done:]))


@lru_cache(4_096)
def _is_secret(name: str) -> bool:
    return is_secret_name(name, is_prose=name[:1] != "-" and not name.isupper())


def _is_value(found: "re.Match[str]", words: "list[str]", *, is_option: bool) -> bool:
    """Return whether what stands after a name is its value."""
    value = found["value"]
    bare = value.strip("\"'`\\[](){}, ")
    if says_nothing(bare):
        return False
    if found["blank"]:
        return is_option and not found["closing"] and value[:1] not in "-=:,"
    is_quoted = value[:1] in "\"'`\\[({"
    if found["sign"] == ",":
        return bool(found["closing"]) and is_quoted
    if (
        found["sign"] == ":"
        and not found["closing"]
        and not is_quoted
        and words[-1] in _WEAK
        and not is_option
    ):
        return looks_random(bare)
    return True


def _with_its_marks(value: str) -> str:
    """Return the placeholder between the marks that a value stands between."""
    for opening, closing in (("[", "]"), ("(", ")"), ("{", "}"), ('"', '"'), ("'", "'"), ("`", "`")):
        if value[0] == opening and value[-1] == closing and len(value) > 1:
            mark = value[1] if value[1] == value[-2] and value[1] in "\"'" else ""
            return f"{opening}{mark}{HIDDEN}{mark}{closing}"
    if value[0] == "\\":
        mark = value[: len(value) - len(value.lstrip("\\")) + 1]
        return f"{mark}{HIDDEN}{mark}" if value.endswith(mark) else HIDDEN
    return HIDDEN + ("," if value[-1] == "," else "")


def looks_random(value: str) -> bool:
    """Return whether a word looks like a key rather than like a word."""
    has_digit, has_letter = any(map(str.isdigit, value)), any(map(str.isalpha, value))
    is_mixed = any(map(str.isupper, value[1:])) and any(map(str.islower, value))
    return len(value) >= 8 and ((has_digit and has_letter) or is_mixed)


def _url(found: "re.Match[str]") -> str:
    is_password = ":" in found["login"] or found["protocol"].lower().startswith(("http", "ws", "ftp"))
    return f"{found['protocol']}://{HIDDEN}@" if is_password else found[0]


def _scheme(found: "re.Match[str]") -> str:
    is_secret = looks_random(found["value"]) or (
        found["scheme"].lower() == "bearer" and len(found["value"]) >= 20
    )
    return f"{found['scheme']}{found['blank']}{HIDDEN}" if is_secret else found[0]
