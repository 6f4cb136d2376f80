"""Takes keys, tokens and passwords out of commands and texts, before they are recorded.

They are known by the name before them (`--api-key`, `HF_TOKEN=`, `Authorization:`), by a shape of their own
(`sk-…`, the password in a URL), or as the value of an environment variable with such a name. Rather too
much is taken out than too little. Most texts have none of the hints, and cost no more than the look.
"""

import os

from ledger_birth.secret_names import is_secret_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

HIDDEN: "Final" = "<secret>"

HINTS: "Final" = (
    "sk-", "sk_", "rk_", "hf_", "api_org_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat-", "gldt-", "xox",
    "xapp-", "akia", "asia", "aiza", "ya29.", "eyj", "nvapi-", "gsk_", "pplx-", "r8_", "npm_", "pypi-",
    "dop_v1_", "sg.", "lsv2_", "tvly-", "xai-", "hvs.", "dapi", "rpa_", "tskey-", "shpat_", "dckr_pat_",
    "age-secret", "sbp_", "lin_api_", "ntn_", "fw_", "-----begin", "basic ",
    "sig=", "signature=", "key", "token", "secret", "pass", "pwd", "pw=", "auth", "cred", "bearer", "cookie",
    "jwt",
    "dsn", "connectionstring", "connection_string", "connection-string", "connstr", "webhook", "_pat", "pat=",
    "_sas", "sas=", "_otp", "otp=",
)  # fmt: skip
SHORTEST_VALUE: "Final" = 6
"""Of a variable's value that is looked for in texts: shorter ones are in words by chance."""
_DIGESTS: "Final" = "cache_key_env"
_NAMES_KEPT: "Final" = 1_000
_names: "dict[tuple[str, bool], bool]" = {}
"""Whether a variable or a field is named as a secret: of the same ones each claim asks."""
_SAYS_NOTHING: "Final" = frozenset(
    (
        "",
        "true",
        "false",
        "none",
        "null",
        "nil",
        "auto",
        "yes",
        "no",
        "on",
        "off",
        "0",
        "1",
        "default",
        HIDDEN,
    )
)
_SEVERAL: "Final" = ("key", "keys", "tokens", "secrets", "passwords", "credentials")
"""How the names of options end that take several values: vLLM's `--api-key`."""
_LOGIN_OPTIONS: "Final" = ("-u", "-U", "--user", "--proxy-user", "--login")
_PASSWORD_OPTIONS: "Final" = {
    "sshpass": "-p", "login": "-p", "mongo": "-p", "mongosh": "-p", "mongodump": "-p", "mongorestore": "-p",
    "redis-cli": "-a", "ldapsearch": "-w", "ldapmodify": "-w", "mosquitto_pub": "-P", "mosquitto_sub": "-P",
    "sqlcmd": "-P", "bcp": "-P", "plink": "-pw", "pscp": "-pw", "unzip": "-P", "zip": "-P",
}  # fmt: skip
"""By program, or command of one, the option whose value is a password: of others `-p` is a port."""
_WITH_PASSWORD: "Final" = {
    "sshpass": "-p", "mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "mariadb": "-p",
    "mariadb-dump": "-p", "7z": "-p", "7za": "-p",
}  # fmt: skip
"""The same, where the password follows without a space."""


def hide_secrets(text: str, values: "Iterable[str]" = ()) -> str:
    """Return a running text without secrets; `values` are some that are known."""
    for value in values:
        if value in text:
            text = text.replace(value, HIDDEN)
    if not may_have_secret(text):
        return text
    # Only now: what begins with a process has no regular expressions where nothing needs them.
    from ledger_birth.secret_patterns import without_secrets

    return without_secrets(text)


def may_have_secret(text: str) -> bool:
    """Return whether a text has something in it that secrets, or their names, have."""
    lower = text.lower()
    if "token" in lower:
        # Of an engine nearly every command and message speaks of tokens, and of tokenizers.
        lower = lower.replace("tokeniz", "").replace("tokens", "")
    return any(hint in lower for hint in HINTS) or ("://" in lower and "@" in lower)


def hide_in_command(arguments: "Sequence[str]", values: "Sequence[str]" = ()) -> "tuple[str, ...]":
    """Return a command's arguments without secrets; `values` are some that are known."""
    shown: list[str] = []
    is_secret = takes_several = is_login = False
    option = with_password = ""
    for argument in arguments:
        if argument[:1] == "-" and len(argument) > 1:
            if argument == option:
                # Once: in `sshpass -p … ssh -p 22` the second is another program's.
                is_secret, takes_several, is_login, option, with_password = True, False, False, "", ""
                shown.append(argument)
                continue
            if with_password and argument.startswith(with_password) and argument != with_password:
                is_secret = False
                shown.append(with_password + HIDDEN)
                option = with_password = ""
                continue
            name, equals, value = argument.partition("=")
            is_name_secret = is_secret_name(name)
            is_secret = is_name_secret and not equals
            takes_several = is_secret and name.lower().endswith(_SEVERAL)
            is_login = name in _LOGIN_OPTIONS
            if equals:
                shown.append(f"{name}={_value(value, values, is_secret=is_name_secret)}")
            else:
                shown.append(argument if _is_name(argument.lstrip("-")) else hide_secrets(argument, values))
            continue
        if is_login and _is_login(argument):
            shown.append(HIDDEN)
        else:
            shown.append(_value(argument, values, is_secret=is_secret))
        if not is_secret:
            program = os.path.basename(argument)
            option = _PASSWORD_OPTIONS.get(program, option)
            with_password = _WITH_PASSWORD.get(program, with_password)
        is_login = False
        # `aws configure set aws_secret_access_key …`
        is_secret = (is_secret and takes_several) or (
            not is_secret and "_" in argument and argument.isidentifier() and is_secret_name(argument)
        )
    return tuple(shown)


def hide_in_environment(variables: "Mapping[str, str]", values: "Sequence[str]" = ()) -> "dict[str, str]":
    """Return variables without secrets; `values` are some that are known."""
    return {name: _value(value, values, is_secret=is_secret_name(name)) for name, value in variables.items()}


def data_without_secrets(data: "Mapping[str, object]", values: "Sequence[str]" = ()) -> "dict[str, object]":
    """Return data, of whatever is in it, with placeholders for secrets; `values` are some that are known."""
    return {key: _plain_without_secrets(key, value, values) for key, value in data.items()}


def _plain_without_secrets(key: object, value: object, values: "Sequence[str]") -> object:
    # By exact types: what a host hands over may be of any class.
    kind = type(value)
    if kind is str:
        text = str(value)
        if type(key) is str and _is_secret_name(key, is_prose=True) and not says_nothing(text):
            return HIDDEN
        return hide_secrets(text, values) if len(text) >= SHORTEST_VALUE else text
    if kind is dict:
        # Of the variables in a cache's key there are digests, by which sessions are compared.
        return value if key == _DIGESTS else data_without_secrets(value, values)  # pyright: ignore[reportArgumentType]
    if kind is list or kind is tuple:
        return [_plain_without_secrets(key, one, values) for one in value]  # pyright: ignore
    return value


def says_nothing(value: str) -> bool:
    """Return whether what stands in a secret's place is none: a yes, a variable, or our placeholder."""
    bare = value.strip()
    return bare.lower() in _SAYS_NOTHING or bare[:1] == "$"


def values_of_secret_variables(variables: "Mapping[str, str] | None" = None) -> "list[str]":
    """Return the values of the variables (this process's by default) named as secrets, the longest first."""
    variables = os.environ if variables is None else variables
    # Another thread may set variables meanwhile.
    values = [variables.get(name) or "" for name in list(variables) if _is_secret_name(name)]
    return sorted(
        {value.strip() for value in values if is_worth_a_look(value)}, key=lambda value: (-len(value), value)
    )


def _is_secret_name(name: str, *, is_prose: bool = False) -> bool:
    key = (name, is_prose)
    if key not in _names:
        if len(_names) >= _NAMES_KEPT:
            _names.clear()
        _names[key] = is_secret_name(name, is_prose=is_prose)
    return _names[key]


def is_worth_a_look(value: str) -> bool:
    """Return whether a secret is long enough to be looked for in texts without blotting out other words."""
    bare = value.strip()
    return len(bare) >= SHORTEST_VALUE and not bare.isdecimal() and not says_nothing(bare)


def _value(text: str, values: "Sequence[str]", *, is_secret: bool) -> str:
    if is_secret:
        return text if says_nothing(text) else HIDDEN
    name, equals, value = text.partition("=")
    if equals and _is_name(name):
        return f"{name}={_value(value, values, is_secret=is_secret_name(name))}"
    return hide_secrets(text, values)


def _is_name(text: str) -> bool:
    return text.replace("-", "_").replace(".", "_").isidentifier()


def _is_login(text: str) -> bool:
    user, colon, password = text.partition(":")
    return bool(user and colon and password) and not password.isdecimal() and "/" not in user
