"""Reads the durations that vLLM's log messages state, from 0.19.1 on.

A message comes without its logger's prefix. Which stage each speaks of, and whose clock it is, is what vLLM's
sources say (`tests/vllm_compat` keeps their wordings).
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

Source = Literal["monitor", "backend", "engine"]


class Stated(NamedTuple):
    """A duration that a message states."""

    stage: str
    source: Source
    seconds: float
    resolution_ns: int
    """The unit of the last digit that was printed."""
    counts: Literal["interval", "ranks"] = "interval"
    role: str | None = None
    """Only where the message itself names it."""
    tag: str | None = None
    """The component in front of the message, from 0.32 on."""
    range: str | None = None
    """The range of sizes that graphs were compiled for."""


class _Shape(NamedTuple):
    stage: str
    source: Source
    pattern: str


_N: Final = r"(?P<seconds>\d+(?:\.\d+)?)"
_TAG: Final = re.compile(r"\[(?P<tag>[A-Za-z_][\w.\-]*)\] (?P<message>.*)", re.DOTALL)
_FIRST_RUN: Final = "and initial profiling/warmup run together "
_LOADED: Final = r"Directly load the compiled graph\(s\) for compile range (?P<range>.+?) from the cache,"
_SHAPES: Final = (
    _Shape("torch_compile", "monitor", rf"torch\.compile (?:{_FIRST_RUN})?(?:took|takes) {_N} s in total"),
    _Shape("first_run", "monitor", rf"Initial profiling/warmup run took {_N} s"),
    _Shape("dynamo", "backend", rf"Dynamo bytecode transform time: {_N} s"),
    _Shape("graph_load", "backend", rf"{_LOADED} took {_N} s"),
    _Shape("graph_compile", "backend", rf"Compiling a graph for compile range (?P<range>.+?) takes {_N} s"),
    _Shape("cache_save", "backend", rf"Saved compiler manager cache in {_N} seconds\."),
    _Shape("weights_load", "engine", rf"Loading weights took {_N} seconds"),
    _Shape("model_init", "engine", rf"Initializing model took {_N} seconds"),
    _Shape("model_load", "engine", rf"Model loading took \S+ GiB(?: memory)? and {_N} seconds"),
    _Shape("kernel_warmup", "engine", rf"JIT kernel warmup finished in {_N}s\."),
    _Shape(
        "graph_capture",
        "engine",
        rf"(?:Encoder g|G)raph capturing finished in {_N} secs, took \S+ GiB(?: \(\d+ graphs\))?",
    ),
)
_ENGINE: Final = re.compile(
    rf"init engine \(profile, create kv cache, warmup model\) took {_N} s(?:econds)?"
    r"(?: \(compilation: (?P<both>\d+\.\d+) s"
    r"(?: — language_model: (?P<language_model>\d+\.\d+) s, encoder: (?P<encoder>\d+\.\d+) s)?\))?"
)


def stated(message: str) -> Sequence[Stated]:
    """Return the durations in a message: none, mostly; several in the engine's own line."""
    tagged = _TAG.fullmatch(message)
    tag, text = tagged.group("tag", "message") if tagged else (None, message)
    for shape in _SHAPES:
        if (found := re.fullmatch(shape.pattern, text)) is not None:
            known = found.groupdict()
            return [
                Stated(
                    shape.stage, shape.source, float(known["seconds"]), _resolution_ns(known["seconds"]),
                    tag=tag, range=known.get("range"),
                )
            ]  # fmt: skip
    if (found := _ENGINE.fullmatch(text)) is not None:
        return _of_engine(found.groupdict())
    return ()


def _of_engine(known: dict[str, str | None]) -> list[Stated]:
    whole = str(known["seconds"])
    said = [Stated("engine_init", "engine", float(whole), _resolution_ns(whole))]
    for name, role in (("both", None), ("language_model", "language_model"), ("encoder", "encoder")):
        if (seconds := known[name]) is not None:
            resolution_ns = _resolution_ns(seconds)
            said.append(Stated("torch_compile", "engine", float(seconds), resolution_ns, "ranks", role))
    return said


def _resolution_ns(printed: str) -> int:
    return 10 ** max(0, 9 - len(printed.partition(".")[2]))
