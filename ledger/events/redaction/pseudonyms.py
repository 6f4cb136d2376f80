"""Learns which names texts have, and then puts one placeholder wherever the same name stands.

Different placeholders stand for different things, and equal ones for the same: texts that are compared
with each other compare as before.
"""

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from ledger.events.redaction import patterns
from ledger.events.redaction.fixed_texts import FixedTexts
from ledger.events.redaction.patterns import Kind, has_separator, is_no_path, odd_from
from ledger.events.redaction.quoted_code import without_compared_values, without_quoted_lines
from ledger_birth.secret_names import is_secret_name
from ledger_birth.secrets_hidden import (
    HIDDEN,
    hide_in_command,
    hide_secrets,
    is_worth_a_look,
    may_have_secret,
    says_nothing,
)

_OPTION: Final = re.compile(r"(?P<key>-{0,2}[A-Za-z][\w.-]*)=(?P<value>.*)", re.DOTALL)
_SCRIPT: Final = re.compile(r"[/\\]([^/\\]+\.[A-Za-z]\w{0,11})$")
_KIND_OF: Final[dict[str, Kind]] = {
    "inside": "path",
    "home": "path",
    "domain": "host",
    "email": "user",
    "address": "address",
    "id": "id",
}
"""What the groups of the patterns find, less those that need a look."""
_TEXTS_KEPT: Final = 1 << 14
_LONGEST_KEPT: Final = 1_000
"""Characters of a text that is kept to be found again: longer ones hardly come twice, and fill the memory."""
_LONGEST_PATH: Final = 4_096
_MOST_SECRETS: Final = 10
"""In one text."""
_MOST_FOLDERS: Final = 64
"""What is longer or deeper than this is no path, and the folders above it are none."""


class TextVisitor(ABC):
    """Goes over texts by what each is: two of these see the same pieces, one to learn and one to replace."""

    def __init__(self, kept: frozenset[str]) -> None:
        self.kept: Final = kept
        """Words of the format's own, which stay: a user may be called `model`."""
        # Most texts of a session come by the thousand.
        self._kept_prose: Final = lru_cache(_TEXTS_KEPT)(self._prose)
        self._kept_value: Final = lru_cache(_TEXTS_KEPT)(self._value)

    def prose(self, text: str) -> str:
        """Running text, in which there may be anything."""
        return self._kept_prose(text) if len(text) <= _LONGEST_KEPT else self._prose(text)

    def value(self, text: str) -> str:
        """A value: where it begins as a path does, it is one to its end."""
        return self._kept_value(text) if len(text) <= _LONGEST_KEPT else self._value(text)

    @abstractmethod
    def _prose(self, text: str) -> str: ...

    def _value(self, text: str) -> str:
        return self.whole("path", text) if re.match(patterns.ROOT, text) else self.prose(text)

    @abstractmethod
    def whole(self, kind: Kind, text: str) -> str:
        """A text that is nothing but one path, or one host."""

    @abstractmethod
    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """A command, before each of its arguments: it may have secrets in it."""

    @abstractmethod
    def secret(self, text: str) -> str:
        """A value whose key says that it is a key, a token or a password."""

    def guards(self, text: str) -> str:
        """Guards of torch's, with the values that they compare with."""
        return self.prose(text)

    @abstractmethod
    def names(self, text: str) -> str:
        """A text that has no path or address in it, but maybe the name of a user or a host."""

    def argument(self, text: str) -> str:
        """What a shell takes as one word: of a command, or a variable's value."""
        if (option := _OPTION.fullmatch(text)) is not None:
            key, value = option["key"], option["value"]
            return f"{self.names(key)}={self.of_key(key, value, self.argument)}"
        if re.match(patterns.URL, text):
            return self.whole("path" if text.lower().startswith("file:") else "url", text)
        if not has_separator(text):
            return self.prose(text)
        if is_no_path(text):
            return self.names(text)
        if patterns.IS_CODE.search(text) and not re.match(patterns.ROOT, text):
            return self.prose(text)
        return self.whole("path", text)

    def of_key(self, key: str, text: str, otherwise: Callable[[str], str]) -> str:
        """The value of a key that may say what it is."""
        if is_secret_name(key, is_prose=key[:1] != "-"):
            return self.secret(text)
        kind = patterns.kind_by_key(key)
        if (
            kind is None
            or patterns.SAYS_NOTHING.fullmatch(text)
            or (kind == "path" and (text in self.kept or is_no_path(text)))
        ):
            return otherwise(text)
        return self.whole("digest" if patterns.DIGEST.fullmatch(text) else kind, text)

    def version(self, name: str, text: str) -> str:
        """The version of something; one that we know may have four numbers, as an address has."""
        is_version = name in self.kept and patterns.VERSION.fullmatch(text) is not None
        return self.names(text) if is_version else self.prose(text)


class NameCollector(TextVisitor):
    """Collects the names of hosts and users, to find them wherever else they stand."""

    def __init__(self, kept: frozenset[str]) -> None:
        super().__init__(kept)
        self.hosts: Final[set[str]] = set()
        self.servers: Final[set[str]] = set()
        """Hosts of which the first part alone says nothing: `docs`, `api`."""
        self.users: Final[set[str]] = set()
        self.files: Final[set[str]] = set()
        self.odd_paths: Final[set[str]] = set()
        """Those that would seem to end before they do."""
        self.secrets: Final[set[str]] = set()
        self.taken: Final[set[str]] = set()
        """Placeholders that are there already, from an earlier redaction."""

    def _prose(self, text: str) -> str:
        self.taken.update(re.findall(patterns.PLACEHOLDER, text))
        self._learn_users(text)
        if may_have_secret(text):
            self._learn_secrets(text, hide_secrets(text))
        for found in re.finditer(patterns.QUOTED, text):
            self.whole("path", found["inner"])
        for found in re.finditer(patterns.EMAIL, text):
            user, _, host = found[0].partition("@")
            self.users.add(user)
            self.servers.add(host)
        return text

    def whole(self, kind: Kind, text: str) -> str:
        """Learn a name, or who is named in a path."""
        self.taken.update(re.findall(patterns.PLACEHOLDER, text))
        if kind == "host":
            names = (text, *re.split(r"[,;\s]+", text))
            self.hosts.update(re.sub(r":\d+$", "", name) for name in names)
        elif kind == "user":
            self.users.add(text)
        elif kind in ("path", "url"):
            self._learn_users(f"{text}/")
            if (found := patterns.SERVER.match(text)) is not None:
                (self.servers if "." in found[1] else self.hosts).add(found[1])
            self._learn_odd_paths(text)
        return text

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """Learn the secrets in it, which may stand in other texts without their names."""
        for argument, shown in zip(arguments, hide_in_command(arguments), strict=True):
            self._learn_secrets(argument, shown)
        return arguments

    def secret(self, text: str) -> str:
        """Learn a secret, where it is long enough to be looked for."""
        if is_worth_a_look(text):
            self.secrets.add(text.strip())
        return text

    def _learn_secrets(self, text: str, shown: str) -> None:
        """Learn what was hidden in a text: all of it, and the last word, as of `Bearer …` and `user:…`."""
        pieces = shown.split(HIDDEN)
        if not 1 < len(pieces) <= _MOST_SECRETS or len(text) > _LONGEST_PATH:
            return
        if found := re.fullmatch("(.+?)".join(map(re.escape, pieces)), text, re.DOTALL):
            for secret in found.groups():
                self.secret(secret)
                self.secret(re.split(r"[\s:\"']", secret.strip("\"' "))[-1])

    def _learn_odd_paths(self, text: str) -> None:
        """Learn a path, and the folders above it, of which the end can't be told in running text."""
        text = text[:_LONGEST_PATH]
        if (begin := odd_from(text)) is None:
            return
        ends = [found.start() for found in re.finditer(r"(?<=[^/\\])(?=[/\\])", text)]
        odd = [end for end in (*ends, len(text)) if end >= begin]
        self.odd_paths.update(text[:end] for end in odd[-_MOST_FOLDERS:])

    def names(self, text: str) -> str:
        """Learn nothing: names are learnt only from texts that are declared to be names."""
        return text

    def argument(self, text: str) -> str:
        """Learn a script's name as well: its process has it."""
        if has_separator(text) and (script := _SCRIPT.search(text)) is not None:
            self.files.add(script[1])
        return super().argument(text)

    def _learn_users(self, text: str) -> None:
        for found in patterns.USER.finditer(text):
            name = next(filter(None, found.groups()), "")
            # A name may have spaces; or what seems one is a name and the text after it.
            self.users.update((name, *re.split(r"[\s\"'`,;:()<>|]", name, maxsplit=1)[:1]))


class Redactor(TextVisitor):
    """Replaces the names that were learnt, and all paths, addresses and URLs, by placeholders."""

    def __init__(self, learnt: NameCollector) -> None:
        super().__init__(learnt.kept)
        self._placeholders: Final[dict[tuple[Kind, str], str]] = {}
        self._last: Final[Counter[Kind]] = Counter()
        self._taken: Final = frozenset(learnt.taken)
        self._kinds: Final = _kinds_of_names(learnt)
        names = _names_pattern(self._kinds, learnt.hosts)
        plain = "|".join(
            (names, patterns.HOME, patterns.EMAIL, patterns.ID, patterns.ADDRESS, patterns.DOMAIN)
        )
        self._secrets: Final = _longest_first(
            {form for secret in learnt.secrets for form in _forms(secret)} - learnt.kept
        )
        self._odd: Final = FixedTexts(
            {form for path in learnt.odd_paths for form in _forms(path)}
            # Of these a part would be taken for a part of the path before them.
            | {
                form
                for name in learnt.users | learnt.hosts
                for form in _forms(name.strip())
                if re.search(r"[\s/\\]", form)
            }
        )
        self._names: Final = re.compile(f"{patterns.PLACEHOLDER}|{names}")
        self._plain: Final = re.compile(f"{patterns.PLACEHOLDER}|{plain}")
        # What comes first wins where several begin at one place, and a path begins before all that is in it.
        self._placed: Final = re.compile(
            f"{patterns.INSIDE}|{patterns.PLACEHOLDER}|{patterns.URL}|{patterns.QUOTED}|{patterns.ROOTED}|{patterns.TOKEN}|{plain}"
        )

    @property
    def counts(self) -> dict[Kind, int]:
        """How many different things were replaced, by kind."""
        return dict(Counter(kind for kind, _ in self._placeholders))

    def whole(self, kind: Kind, text: str) -> str:
        """Return the placeholder of a text; one that is a placeholder already stays."""
        if not text or re.fullmatch(patterns.PLACEHOLDER, text):
            return text
        if (kind, text) not in self._placeholders:
            placeholder = ""
            while not placeholder or placeholder in self._taken:
                self._last[kind] += 1
                placeholder = f"<{kind}-{self._last[kind]}>"
            self._placeholders[kind, text] = placeholder
        return self._placeholders[kind, text]

    def names(self, text: str) -> str:
        """Return a text with placeholders for the names of users and hosts alone."""
        return text if text in self.kept else self._names.sub(self._replaced, text)

    def _prose(self, text: str) -> str:
        if text in self.kept:
            return text
        text = without_quoted_lines(hide_secrets(text, self._secrets), self.whole)
        text = self._odd.replaced(text, self._odd_name)
        pattern = self._placed if has_separator(text) else self._plain
        return pattern.sub(self._replaced, text)

    def command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """Return a command without the secrets that an argument before them tells of."""
        return hide_in_command(arguments, self._secrets)

    def secret(self, text: str) -> str:
        """Return the placeholder of a secret."""
        return text if says_nothing(text) else HIDDEN

    def guards(self, text: str) -> str:
        """Return guards without the values that they compare with."""
        return self.prose(without_compared_values(text, self.whole))

    def _odd_name(self, text: str) -> str:
        return self.whole(self._kinds.get(text.lower(), "path"), text)

    def _replaced(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup, found[0]
        if kind is None:
            return text  # a placeholder
        if kind == "quoted":
            return found["quote"] + self.whole("path", found["inner"]) + found["closing"]
        if kind in ("url", "token", "rooted"):
            bare = text.rstrip(patterns.PUNCTUATION) or text
            rest = text[len(bare) :]
            if kind == "token" and is_no_path(bare):
                return self.names(bare) + rest
            is_url = kind == "url" and not bare.lower().startswith("file:")
            return self.whole("url" if is_url else "path", bare) + rest
        if kind == "address" and not patterns.is_machines(text):
            return text
        is_name = kind == "name"
        return self.whole(self._kinds.get(text.lower(), "host") if is_name else _KIND_OF[kind], text)


def _kinds_of_names(learnt: NameCollector) -> dict[str, Kind]:
    """Return what each name is that is to be looked for, in small letters."""
    short = {host.partition(".")[0] for host in learnt.hosts}
    names_of_kind: dict[Kind, set[str]] = {
        "host": learnt.hosts | learnt.servers | {name for name in short if not name.isdecimal()},
        "file": learnt.files,
        "user": learnt.users,
    }
    return {
        form.lower(): kind
        for kind, names in names_of_kind.items()
        for name in (name.strip() for name in names)
        if _is_worth_it(name) and name.lower() not in learnt.kept
        for form in _forms(name)
    }


def _names_pattern(kinds: Mapping[str, Kind], hosts: Iterable[str]) -> str:
    """Return the pattern of names, as whole words in whatever case; a host's goes on with its domain."""
    labels = r"(?:\.[a-z0-9-]+)*"
    alternatives = [
        re.escape(name) + (labels if kinds[name] == "host" else "") for name in _longest_first(kinds)
    ]
    domains = {host.partition(".")[2] for host in hosts if not host.partition(".")[0].isdecimal()}
    alternatives += [rf"(?:[\w-]+\.)*{re.escape(domain)}" for domain in sorted(domains) if "." in domain]
    return rf"(?P<name>(?<![^\W_])(?i:{'|'.join(alternatives) or '(?!)'})(?![^\W_]))"


def _is_worth_it(name: str) -> bool:
    """Leave out what would match in every text: single letters, small numbers, and placeholders."""
    return len(name) > 1 and not re.fullmatch(rf"\d{{1,4}}|{patterns.PLACEHOLDER}", name)


def _forms(text: str) -> set[str]:
    """Return a text as it is, and as JSON or Python write it."""
    written = (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text))
    return {text, *(form[1:-1] for form in written)}


def _longest_first(texts: Iterable[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-len(text), text))
