"""Reads what torch knows of a compile besides its duration: graph breaks, guards that failed, cache answers.

torch keeps all of it anyway, in lists and dictionaries of its own and in the record of the compile: nothing
is read here that torch would have to make first.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, cast

from ledger_torch.hook_targets import (
    AUTOTUNE_ANSWER,
    DURATIONS_END_IN,
    GRAPH_BREAKS,
    GUARD_FAILURES,
    KERNELS,
    NOT_FACTS,
)

_LEFT_OUT: Final = frozenset(
    {"dynamo_config", "compiler_config", "inductor_config", "functorch_config", "components"}
)
"""Whole configurations, and whole graphs as the parts of a cache key, at the end of each compile."""

MAX_TEXT: Final = 65_536
"""Characters kept of a text: reasons have some thousands, the output of a C++ compiler can have more."""
MAX_ITEMS: Final = 100
"""Items kept of a list."""


class GraphBreaks:
    """The graph breaks of the frame that a thread compiles, out of torch's list of all of them."""

    def __init__(self, utils: ModuleType | None) -> None:
        """`utils` is torch's module that has the list."""
        self._utils = utils
        self._taken: set[int] = set()
        self._depth = 0

    def begin(self) -> int:
        """Return a mark of where a frame's breaks begin."""
        self._depth += 1
        return len(self._all() or ())

    def end(self, mark: int) -> list[dict[str, object]] | None:
        """Return the breaks since a mark but those of frames inside; None where torch has no list of them."""
        self._depth -= 1
        reasons = self._all()
        own = [reason for reason in (reasons or ())[mark:] if id(reason) not in self._taken]
        if self._depth > 0:
            self._taken.update(map(id, own))
        else:
            self._depth = 0
            self._taken.clear()
        return None if reasons is None else [simple(_graph_break(reason)) for reason in own]

    def _all(self) -> Sequence[object] | None:
        reasons: object = getattr(self._utils, GRAPH_BREAKS, None)
        return cast("Sequence[object]", reasons) if isinstance(reasons, list) else None


def _graph_break(reason: object) -> dict[str, object]:
    stack: object = getattr(reason, "user_stack", None)
    where = cast("list[object]", stack)[-1] if isinstance(stack, list) and stack else None
    place = {"file": getattr(where, "filename", None), "line": getattr(where, "lineno", None)}
    return {"reason": str(getattr(reason, "reason", reason)), **place}


class Kernels:
    """What the autotune cache answered for the kernels that Triton compiles, each once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: object = None
        self._seen = 0

    def take_answers(self) -> dict[str, int]:
        """Return how often the cache gave which answer for the kernels that are new."""
        kernels: object = getattr(sys.modules.get(KERNELS[0]), KERNELS[1], None)
        if not isinstance(kernels, dict):
            return {}
        with self._lock:
            if kernels is not self._last:
                self._last, self._seen = kernels, 0
            new = list(cast("dict[str, object]", kernels).values())[self._seen :]
            self._seen += len(new)
        return autotune_answers(new)


def autotune_answers(kernels: Iterable[object]) -> dict[str, int]:
    """Return how often the autotune cache gave which answer, by what torch keeps of each kernel."""
    asked = (cast("Mapping[str, object]", kernel) for kernel in kernels if isinstance(kernel, dict))
    return dict(Counter(str(kernel[AUTOTUNE_ANSWER]) for kernel in asked if AUTOTUNE_ANSWER in kernel))


def record_of(fields: Mapping[str, object], utils: ModuleType | None = None) -> dict[str, object]:
    """Return what a record of a compile says besides durations, texts whole; `utils` is torch's module."""
    record = simple({name: value for name, value in fields.items() if _is_fact(name, value)})
    if "recompile_reason" not in fields and (reason := _guard_that_failed(fields, utils)) is not None:
        record["recompile_reason"] = text(reason)
    return record


def _is_fact(name: str, value: object) -> bool:
    if value is None or name in NOT_FACTS:
        return False
    # A text with such a name is a list of durations, by kernel.
    return isinstance(value, str) or not name.endswith(tuple(DURATIONS_END_IN))


def _guard_that_failed(fields: Mapping[str, object], utils: ModuleType | None) -> str | None:
    """Return the reason of a recompile where its record has none: that of the newest cached version."""
    cached = fields.get("accumulated_cache_size")
    failures: Mapping[Any, Sequence[str]] = getattr(utils, GUARD_FAILURES, {})
    if type(cached) is not int or cached < 1:
        return None
    place = tuple(fields.get(name) for name in ("co_name", "co_filename", "co_firstlineno"))
    for code, reasons in list(failures.items()):
        if (code.co_name, code.co_filename, code.co_firstlineno) == place and len(reasons) >= cached:
            return next((reason for reason in reasons[-cached:] if reason), None)
    return None


def text(value: str) -> str:
    """Return a text as it is; of one that is too long, the beginning and how much was left out."""
    if len(value) <= MAX_TEXT:
        return value
    return f"{value[:MAX_TEXT]} … and {len(value) - MAX_TEXT:,} more characters"


def simple(args: Mapping[str, object]) -> dict[str, object]:
    """Return the small, plain JSON values of torch's metadata."""
    simple: dict[str, object] = {}
    for name, value in args.items():
        if name in _LEFT_OUT:
            continue
        kind = type(value)
        if kind is str:
            # torch writes the compile id of a span outside of any compile as the text "None".
            if value != "None":
                simple[name] = text(cast("str", value))
        elif kind is int or kind is bool or kind is float:
            simple[name] = value
        elif isinstance(value, (list, tuple, set, frozenset)):
            texts = [text(item) for item in cast("Sequence[object]", value) if isinstance(item, str)]
            if texts:
                kept = sorted(texts) if isinstance(value, (set, frozenset)) else texts
                simple[name] = kept[:MAX_ITEMS]
    return simple
