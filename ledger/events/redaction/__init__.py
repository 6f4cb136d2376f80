"""Replaces hosts, user names, paths and secrets in events by placeholders, to show a session to others.

What is measured stays, and so does what it is compared by: a redacted session reduces to the same times,
totals, differences and causes. Pure: events in, events out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Final, cast, get_args

from pydantic import JsonValue

from ledger.engines import installed_engines
from ledger.events.models import Event, EventBase
from ledger.events.redaction.patterns import Kind, public_modules, words
from ledger.events.redaction.pseudonyms import NameCollector, Redactor, TextVisitor
from ledger.events.redaction.quoted_code import GUARDS
from ledger.vocabulary import (
    ENGINE_READY,
    EVENTS_NOT_WRITTEN,
    IMPORT,
    ROLE_OF_TORCH,
    STAGES,
    Counts,
    Outcome,
    Source,
)
from ledger_birth.secret_names import is_secret_name

_PROSE: Final = ("text", "detail", "error")
_WHOLE: Final[dict[str, Kind]] = {
    "host": "host",
    "boot_id": "boot",
    "time_namespace": "namespace",
    "pid_namespace": "namespace",
}
_LEFT: Final = frozenset({"kind", "activity", "source", "outcome", "counts", "process", "lost"})
"""Fields of words of ours, and the ids of processes, which are changed together."""
_NUMBERS: Final[frozenset[object]] = frozenset((int, type(None)))
_DIGESTS: Final = "cache_key_env"
_LOST: Final = ":lost"
"""The suffix of the process under which the collector writes that another one is lost."""
_KEPT: Final = frozenset(
    {
        *STAGES,
        *(stage for stages in STAGES.values() for stage in stages),
        *(name for model in EventBase.__subclasses__() for name in model.model_fields),
        *(str(model.model_fields["kind"].default) for model in EventBase.__subclasses__()),
        *get_args(Source),
        *get_args(Outcome),
        *get_args(Counts),
        ROLE_OF_TORCH,
        ENGINE_READY,
        EVENTS_NOT_WRITTEN,
    }
) | words(
    """
    language_model encoder drafter backbone eagle_head first_token
    hook_missing accumulator clock wall range cache hit miss compiled outdated control ambiguous intervals
    graph_index cache_key cache_key_env cache_state compile_id
    root user users home main localhost python python3 torch triton inductor cuda ray docker worker model
    models compile compile-ledger compile_ledger s ms us ns took rank
    """
)
"""The format's own words, which the reducer and the saved queries look for; then names that are nobody's."""


class Redaction:
    """The placeholders of one export: the same thing has the same placeholder in all of its events.

    It goes over all events once to learn their names, and is then asked for each.
    """

    def __init__(
        self,
        events: Iterable[Event],
        *,
        keep: Iterable[str] = (),
        users: Iterable[str] = (),
        secrets: Iterable[str] = (),
    ) -> None:
        """`keep` are words that stay, as the format's own do.

        `users` and `secrets` are names and values beside those in events.
        """
        engines = {word for engine in installed_engines() for word in (engine.package, *engine.words)}
        learner = NameCollector(_KEPT | engines | {word.lower() for word in keep} | set(keep))
        learner.users.update(users)
        learner.secrets.update(secrets)
        self._public: Final = set(public_modules() | engines)
        processes: defaultdict[str, set[str]] = defaultdict(set)
        for event in events:
            _fields(event, learner)
            if event.kind == "session_started":
                self._public.update(event.versions)
            processes[event.session].add(event.process.removesuffix(_LOST))
        for process in set[str]().union(*processes.values()):
            # Out of a log, by the host that Ray named: `pid-5@10.0.0.7`.
            _, at, host = process.rpartition("@")
            learner.whole("host", host) if at else learner.value(process)
        self._pen: Final = Redactor(learner)
        self._renamed: Final = {
            session: _renamed(sorted(names), self._pen) for session, names in processes.items()
        }

    @property
    def counts(self) -> Mapping[Kind, int]:
        """How many different things were replaced so far, by kind."""
        return self._pen.counts

    def __call__(self, event: Event) -> Event:
        """Return an event, redacted."""
        changed = _fields(event, self._pen)
        names = self._renamed.get(event.session, {})
        if (process := _process(event.process, names)) != event.process:
            changed["process"] = process
        if event.kind == "stage_started" and event.stage == IMPORT and event.component is not None:
            changed["component"] = self._module(event.component)
        if event.kind == "process_lost":
            changed["lost"] = _process(event.lost, names)
        return event.model_copy(update=changed) if changed else event

    def _module(self, name: str) -> str:
        """Return the name of a module of a public package; of any other one its placeholder."""
        return name if name.partition(".")[0] in self._public else self._pen.whole("module", name)


def redacted(
    events: Callable[[], Iterable[Event]],
    *,
    keep: Iterable[str] = (),
    users: Iterable[str] = (),
    secrets: Iterable[str] = (),
) -> Iterator[Event]:
    """Yield events, redacted; `events` is called twice, and gives the same ones each time."""
    return map(Redaction(events(), keep=keep, users=users, secrets=secrets), events())


def _fields(event: Event, pen: TextVisitor) -> dict[str, object]:
    """Return the fields of an event in which there is text and that a pen changes, as it leaves them."""
    return {
        name: changed_value
        for name in _with_text(type(event))
        if (value := getattr(event, name)) is not None
        and (changed_value := _field(name, value, pen)) is not value
        and changed_value != value
    }


@cache
def _with_text(model: type[EventBase]) -> tuple[str, ...]:
    """Return the names of the fields in which there may be text of others."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if name not in _LEFT and not set(get_args(field.annotation) or (field.annotation,)) <= _NUMBERS
    )


def _field(name: str, value: object, pen: TextVisitor) -> object:
    if isinstance(value, tuple):
        texts = cast("tuple[str, ...]", value)
        return _command(texts, pen) if name == "command" else tuple(map(pen.prose, texts))
    if isinstance(value, dict):
        if name == "data":
            return _data(cast("dict[str, JsonValue]", value), "", pen)
        texts = cast("dict[str, str]", value).items()
        if name == "versions":
            return {pen.prose(key): pen.version(key, text) for key, text in texts}
        return {pen.prose(key): pen.of_key(key, text, pen.argument) for key, text in texts}
    if not isinstance(value, str):
        return value
    if name in _WHOLE:
        return pen.whole(_WHOLE[name], value)
    return pen.prose(value) if name in _PROSE else pen.value(value)


def _command(arguments: tuple[str, ...], pen: TextVisitor) -> tuple[str, ...]:
    """`--host node7`: the argument before one may tell what it is."""
    arguments = pen.command(arguments)
    return tuple(
        pen.of_key(before, text, pen.argument)
        if before.startswith("-") and not text.startswith("-")
        else pen.argument(text)
        for before, text in zip(("", *arguments), arguments, strict=False)
    )


def _data(value: JsonValue, key: str, pen: TextVisitor) -> JsonValue:
    if isinstance(value, dict):
        # Of the variables in a cache's key there are digests, by which sessions are compared.
        named = key != _DIGESTS
        return {
            pen.prose(name): _data(inner, name if named or not is_secret_name(name) else "", pen)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_data(inner, key, pen) for inner in value]
    if not isinstance(value, str):
        return value
    return pen.guards(value) if key in GUARDS else pen.of_key(key, value, pen.value)


def _renamed(processes: list[str], pen: Redactor) -> dict[str, str]:
    """Return other names for a session's processes, in their order, where one of them tells a host.

    All of them, since equal totals are told apart by the order of the processes' ids.
    """
    if all(pen.value(process) == process for process in processes):
        return {}
    width = len(str(len(processes)))
    return {process: f"<process-{number:0{width}}>" for number, process in enumerate(processes, 1)}


def _process(process: str, renamed: Mapping[str, str]) -> str:
    base = process.removesuffix(_LOST)
    return renamed.get(base, base) + process[len(base) :]
