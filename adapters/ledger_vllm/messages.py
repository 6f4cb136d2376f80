"""Reads what vLLM's log messages say of its start-up: the durations that they state, and what only happened.

A message comes without its logger's prefix. Which stage each speaks of, and whose clock it is, is what vLLM's
sources say (`tests/vllm_compat` keeps their wordings from 0.19.1 on; older ones are those of published logs).
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
    """The range of sizes that graphs were compiled for; in old versions `dynamic shape`, `shape None`."""


Happening = Literal[
    "compile_begins",
    "cache_directory",
    "graph_loaded",
    "aot_loaded",
    "aot_load_failed",
    "aot_saved",
    "warmup_begins",
    "warmup_ends",
    "engine_begins",
    "rank_assigned",
    "server_starts",
]


class Told(NamedTuple):
    """Something that a message says has happened, without a duration."""

    what: Happening
    tag: str | None = None
    path: str | None = None
    reason: str | None = None
    range: str | None = None
    version: str | None = None
    rank: int | None = None


class _Shape(NamedTuple):
    stage: str
    source: Source
    pattern: str


_N: Final = r"(?P<seconds>\d+(?:\.\d+)?)"
_TAG: Final = re.compile(r"\[(?P<tag>[A-Za-z_][\w.\-]*)\] (?P<message>.*)", re.DOTALL)
_FIRST_RUN: Final = "and initial profiling/warmup run together "
_SIZES: Final = r"for (?:compile range (?P<range>.+?)|(?P<shape>(?:dynamic|general) shape|shape .+?))"
"""Of graphs, the sizes; before compile ranges there was one shape, or none, at a time."""
_LOADED: Final = rf"Directly load the compiled graph(?:\(s\))? {_SIZES} from the cache"
_SHAPES: Final = (
    _Shape("torch_compile", "monitor", rf"torch\.compile (?:{_FIRST_RUN})?(?:took|takes) {_N} s in total"),
    _Shape("first_run", "monitor", rf"Initial profiling/warmup run took {_N} s"),
    _Shape("dynamo", "backend", rf"Dynamo bytecode transform time: {_N} s"),
    _Shape("graph_load", "backend", rf"{_LOADED}, took {_N} s"),
    _Shape("graph_compile", "backend", rf"Compiling a graph {_SIZES} takes {_N} s"),
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
# The dash may have suffered on its way through other encodings.
_ENGINE: Final = re.compile(
    rf"init engine \(profile, create kv cache, warmup model\) took {_N} s(?:econds)?"
    r"(?: \(compilation: (?P<both>\d+\.\d+) s"
    r"(?: \S{1,6} language_model: (?P<language_model>\d+\.\d+) s, encoder: (?P<encoder>\d+\.\d+) s)?\))?"
)
_TOLD: Final[tuple[tuple[Happening, str], ...]] = (
    ("compile_begins", r"Starting torch\.compile"),
    ("cache_directory", r"Using cache directory: (?P<path>.+) for vLLM.s torch\.compile"),
    ("graph_loaded", _LOADED),
    ("aot_loaded", r"Directly load AOT compilation from path (?P<path>.+)"),
    (
        "aot_load_failed",
        r"Compiling model again due to a load failure from (?P<path>.+?), reason: (?P<reason>.*)",
    ),
    ("aot_saved", r"saved AOT compiled function to (?P<path>.+)"),
    ("warmup_begins", r"Warming up model for the compilation\.\.\."),
    ("warmup_ends", r"Warming up done\."),
    ("engine_begins", r"Initializing an? (?:V\d )?LLM engine \(v(?P<version>[^\s()]+)\).*"),
    ("rank_assigned", r"rank (?P<rank>\d{1,9}) in world size \d+ is assigned as .*"),
    ("server_starts", r"Starting vLLM (?:API )?server .*"),
)


def stated(message: str) -> Sequence[Stated]:
    """Return the durations in a message: none, mostly; several in the engine's own line."""
    tag, text = _without_tag(message)
    for shape in _SHAPES:
        if (found := re.fullmatch(shape.pattern, text)) is not None:
            known = found.groupdict()
            return [
                Stated(
                    shape.stage, shape.source, float(known["seconds"]), _resolution_ns(known["seconds"]),
                    tag=tag, range=known.get("range") or known.get("shape"),
                )
            ]  # fmt: skip
    if (found := _ENGINE.fullmatch(text)) is not None:
        return _of_engine(found.groupdict())
    return ()


def told(message: str) -> Told | None:
    """Return what a message without a duration says has happened; None, mostly."""
    tag, text = _without_tag(message)
    for what, pattern in _TOLD:
        if (found := re.fullmatch(pattern, text, re.DOTALL)) is not None:
            known = found.groupdict()
            rank = known.get("rank")
            return Told(
                what, tag, known.get("path"), known.get("reason"),
                known.get("range") or known.get("shape"), known.get("version"),
                None if rank is None else int(rank),
            )  # fmt: skip
    return None


def _without_tag(message: str) -> tuple[str | None, str]:
    tagged = _TAG.fullmatch(message)
    return (tagged["tag"], tagged["message"]) if tagged else (None, message)


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
