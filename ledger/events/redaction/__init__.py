"""Replaces hosts, user names and paths in events by placeholders, so that a session can be shown to others.

What is measured stays, and so does what it is compared by: a redacted session reduces to the same times,
totals, differences and causes. Pure: events in, events out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, cast, get_args

from pydantic import JsonValue

from ledger.engines import installed_engines
from ledger.events.models import Event, EventBase
from ledger.events.redaction.patterns import Kind, public_modules, words
from ledger.events.redaction.pseudonyms import NameCollector, Redactor, TextVisitor
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

_PROSE: Final = ("text", "detail", "error")
_WHOLE: Final[dict[str, Kind]] = {
    "host": "host",
    "boot_id": "boot",
    "time_namespace": "namespace",
    "pid_namespace": "namespace",
}
_LEFT: Final = frozenset({"kind", "activity", "source", "outcome", "counts", "process", "lost"})
"""Fields of words of ours, and the ids of processes, which are changed together."""
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
        self, events: Iterable[Event], *, keep: Iterable[str] = (), users: Iterable[str] = ()
    ) -> None:
        """`keep` are words that stay, as the format's own do; `users` are names beside those in events."""
        engines = {word for engine in installed_engines() for word in (engine.package, *engine.words)}
        learner = NameCollector(_KEPT | engines | {word.lower() for word in keep} | set(keep))
        learner.users.update(users)
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
        changed["process"] = _process(event.process, names)
        if event.kind == "stage_started" and event.stage == IMPORT and event.component is not None:
            changed["component"] = self._module(event.component)
        if event.kind == "process_lost":
            changed["lost"] = _process(event.lost, names)
        return event.model_copy(update=changed)

    def _module(self, name: str) -> str:
        """Return the name of a module of a public package; of any other one its placeholder."""
        return name if name.partition(".")[0] in self._public else self._pen.whole("module", name)


def redacted(
    events: Callable[[], Iterable[Event]], *, keep: Iterable[str] = (), users: Iterable[str] = ()
) -> Iterator[Event]:
    """Yield events, redacted; `events` is called twice, and gives the same ones each time."""
    return map(Redaction(events(), keep=keep, users=users), events())


def _fields(event: Event, pen: TextVisitor) -> dict[str, object]:
    """Return the fields of an event in which there is text, as a pen leaves them."""
    values: Iterable[tuple[str, object]] = event
    return {
        name: changed_value
        for name, value in values
        if name not in _LEFT and (changed_value := _field(name, value, pen)) is not value
    }


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
    return tuple(
        pen.of_key(before, text, pen.argument)
        if before.startswith("-") and not text.startswith("-")
        else pen.argument(text)
        for before, text in zip(("", *arguments), arguments, strict=False)
    )


def _data(value: JsonValue, key: str, pen: TextVisitor) -> JsonValue:
    if isinstance(value, dict):
        return {pen.prose(name): _data(inner, name, pen) for name, inner in value.items()}
    if isinstance(value, list):
        return [_data(inner, key, pen) for inner in value]
    return pen.of_key(key, value, pen.value) if isinstance(value, str) else value


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
