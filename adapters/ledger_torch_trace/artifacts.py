"""Reads what torch logs of a compile as artifacts: graph breaks, reasons of a recompile, kernels."""

import re
from collections.abc import Mapping
from typing import Final, cast

from pydantic_core import from_json

from ledger_torch.compile_facts import autotune_answers, simple

ARTIFACT: Final = "artifact"
_GRAPH_BREAK: Final = b'"dynamo_graph_break_reason"'
_REASONS: Final = b'"recompile_reasons"'
_KERNELS: Final = b'"triton_kernel_info"'

_BREAK: Final = re.compile(
    r"Graph break in user code at (?P<file>[^\n]+):(?P<line>\d{1,9})\n(?:Graph Break )?Reason: "
    r"(?:[^\n]+:\n\n)?(?P<reason>.*?)\s*\nUser code traceback:",
    re.DOTALL,
)
"""A break's text: where, how Dynamo came upon it, why in the words that are recorded live, and the stack."""


def is_of_compile(metadata: bytes) -> bool:
    """Whether an artifact with this metadata is one that is read here."""
    return any(name in metadata for name in (_GRAPH_BREAK, _REASONS, _KERNELS))


def facts_of(metadata: bytes, payload: bytes) -> dict[str, object]:
    """Return what an artifact says of its compile, by the names that the live recorder uses."""
    text = payload.decode(errors="replace")
    if _GRAPH_BREAK in metadata:
        found = _BREAK.match(text)
        place: dict[str, object] = {"reason": text.strip()}
        if found is not None:
            place = {"reason": found["reason"], "file": found["file"], "line": int(found["line"])}
        return {"graph_breaks": [simple(place)]}
    if _REASONS in metadata:
        # One reason is logged as its text; several are a list.
        reasons = _json(payload)
        first = next(iter(cast("list[object]", reasons)), None) if isinstance(reasons, list) else text
        return simple({"recompile_reason": first}) if isinstance(first, str) and first else {}
    kernels = _json(payload)
    infos = cast("Mapping[str, object]", kernels).values() if isinstance(kernels, dict) else ()
    answers = autotune_answers(infos)
    return {"autotune_cache": answers} if answers else {}


def _json(payload: bytes) -> object:
    try:
        return cast("object", from_json(payload))
    except ValueError:
        return None
