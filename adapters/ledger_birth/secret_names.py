"""Tells by its name whether a flag, a variable, a header or a field holds a key, a token or a password."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final


def _set(text: str) -> "frozenset[str]":
    return frozenset(text.split())


NAME_HINTS: "Final" = (
    "key", "token", "secret", "pass", "pwd", "pw=", "auth", "cred", "bearer", "cookie", "jwt", "dsn", "sas",
    "pat", "otp", "connectionstring", "connection_string", "connection-string", "connstr", "webhook",
)  # fmt: skip
"""One of these is in each such name, in small letters."""
HEADERS: "Final" = _set("authorization cookie")
"""Words of headers whose value goes on to the end of the line."""

_ANYWHERE: "Final" = _set(
    """
    password passwords passwd passwort passphrase passcode secret secrets credential credentials creds
    bearer authorization cookie cookies jwt connectionstring connstr webhook
    """
)
_FUSED: "Final" = (
    "password", "passwd", "passphrase", "secret", "secretkey", "apikey", "apikeys", "accesskey", "privatekey",
    "authkey", "accountkey", "signingkey", "authtoken", "accesstoken", "apitoken", "sessiontoken",
    "refreshtoken", "hftoken", "idtoken", "sshpass", "userpwd", "apitokens",
)  # fmt: skip
_AT_THE_END: "Final" = _set("token auth dsn sas pat otp pw key keys pass pwd tokens")
_DESCRIBED: "Final" = _set(
    """
    file files path paths dir dirs directory folder keyfile certfile name names id ids type types format len
    length size count counts limit limits ttl expiry expires endpoint url uri mode algo algorithm version
    threshold env envvar var variable helper provider manager store stdin fd location policy required
    enabled disabled budget rate details usage parallelism sock prompt hash_algo info reqs error errors
    """
)
"""The last word of a name that speaks of a secret, and is none: `--password-file`, `HF_TOKEN_PATH`."""
_SWITCHES: "Final" = _set(
    """
    enable disable no not use uses using allow allows require requires is has skip trust show print max min
    num number count check ignore return verify without per validate keep
    """
)
"""The first word of a name that says yes or no, or how many: `--allow-credentials`, `--max-token`."""
_NO_TOKEN: "Final" = _set(
    """
    stop bos eos pad mask image audio video next first last special unk cls sep end start think per prompt
    max min num each every unexpected text new single invalid
    """
)
_SECRET_TOKENS: "Final" = _set("auth api access bearer session refresh hf secret user bot")
_NO_KEY: "Final" = _set(
    """
    arrow autotune batch cache cached code column compile config dict dispatch enter env foreign function
    graph group guard hash host hot idempotency index join json kernel known kv label lookup map memo metric
    missing module object order param parameter partition primary public query row routing series shape sort
    source state static tensor trace translation unexpected unique value weight lock any each
    """
)
_KEY_OF: "Final" = _set(
    """
    access account admin anthropic api app application auth aws azure bot client cohere consumer crypto
    datadog deepseek deploy deployment encryption exa fireworks gcp gemini gitlab google gpg groq hf
    huggingface hub jina langchain langsmith license licence master minio mistral nebius ngc nvidia openai
    openrouter perplexity pgp pinecone private project proxy registry replicate root rsa secret sentry serper
    server service session shared signing ssh ssl stability storage stripe subscription tavily tls together
    token twilio user voyage wandb webhook xai function master rapidapi gateway
    """
)
_PASS_OF: "Final" = _set(
    """
    admin auth basic db docker elastic email ftp http ldap mail mongo mysql pg postgres proxy rabbitmq redis
    registry root smtp ssh sudo user
    """
)


def name_words(name: str) -> "list[str]":
    """Return the words of a name in small letters: `hfToken`, `HF_TOKEN` and `--hf-token` have the same."""
    words: list[str] = []
    begin = 0
    for place, letter in enumerate(name):
        if not letter.isalnum():
            words.append(name[begin:place])
            begin = place + 1
        elif letter.isupper() and place > begin and name[place - 1].islower():
            words.append(name[begin:place])
            begin = place
    words.append(name[begin:])
    return [word.lower() for word in words if word]


def is_secret_name(name: str, *, is_prose: bool = False) -> bool:
    """Return whether a name is that of a secret.

    In running text (`is_prose`) more is a name by chance: a `key` must be a key of something known there.
    """
    lower = name.lower()
    if not any(hint in lower for hint in NAME_HINTS):
        return False
    words = name_words(name)
    if not words or words[-1] in _DESCRIBED:
        return False
    own = words if "." not in name else name_words(name.rpartition(".")[2])
    if len(own) > 1 and own[0] in _SWITCHES:
        return False
    if any(word in _ANYWHERE or word.endswith(_FUSED) for word in words):
        return True
    if "".join(words).endswith(_FUSED):  # `API key`, `pass_phrase`
        return not is_prose or len(words) > 1
    return words[-1] in _AT_THE_END and _ends_secretly(words, is_prose=is_prose)


def _ends_secretly(words: "Sequence[str]", *, is_prose: bool) -> bool:
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last == "token":
        return before not in _NO_TOKEN
    if last == "tokens":
        return before in _SECRET_TOKENS
    if last in ("key", "keys"):
        if not before or is_prose:
            return before in _KEY_OF or (last == "key" and not is_prose)
        return before not in _NO_KEY
    if last == "pass":
        return before in _PASS_OF or (not before and not is_prose)
    if last in ("pwd", "pw"):
        return before not in ("", "old")
    return not is_prose or (last == "auth" and before in ("basic", "proxy", "http"))
