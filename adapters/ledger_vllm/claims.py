"""Claims from vLLM's own statements about time: its log lines, and its accumulators."""

import logging
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger_engine.model_parts import WHOLE, Part
from ledger_engine.patching import Call, Ended
from ledger_engine.stages import OpenStage, Stages
from ledger_vllm.messages import Stated, stated
from ledger_vllm.model_parts import part_of

_LOGGER: Final = "vllm"
"""All of vLLM's loggers are below this one, which does not propagate."""

ACCUMULATORS: Final = {"compilation_time": "language_model", "encoder_compilation_time": "encoder"}
"""Attributes of vLLM's CompilationConfig, in seconds; the second one from 0.20.0 on."""

WALL_CLOCKED: Final = frozenset({"engine_init"})
"""Stages that vLLM times by `time.time()`, in all versions: `EngineCore._initialize_kv_caches`."""
_ACCUMULATED_NS: Final = 1_000
"""The resolution of what vLLM keeps as a float: it reads the clock at other moments than we do."""


class LogClaims(logging.Handler):
    """Claims each duration that vLLM logs, with the line's text and the interval that it is about."""

    def __init__(self, stages: Stages) -> None:
        super().__init__(logging.INFO)
        self._stages = stages
        self._has_noted_level = False

    def listen(self) -> None:
        """Add this handler to vLLM's logger, unless it is there already."""
        logging.getLogger(_LOGGER).addHandler(self)

    def logging_configured(self, call: Call) -> Generator[None, Ended, None]:
        """Add the handler again: when vLLM configures its logger, it removes other handlers."""
        yield
        self.listen()
        self.note_log_level()

    def note_log_level(self) -> None:
        """Record whether vLLM's log level lets its lines reach this handler, once that is set.

        Up to 0.30 it is set when vLLM is imported, later when vLLM has its arguments.
        """
        logger = logging.getLogger(_LOGGER)
        is_heard = logger.isEnabledFor(logging.INFO)
        if self._has_noted_level or (logger.level == logging.NOTSET and not is_heard):
            return
        self._has_noted_level = True
        if is_heard:
            self._stages.recorder.add_hook("vllm log lines")
        else:
            level = logging.getLevelName(logger.getEffectiveLevel())
            self._stages.recorder.hook_missing("vllm log lines", f"vLLM logs nothing below {level}")

    def emit(self, record: logging.LogRecord) -> None:
        """Claim what a line states; most lines state nothing."""
        try:
            text = record.getMessage()
            where = {"logger": record.name, "line": record.lineno}
            for duration in stated(text):
                self._claim(duration, text, where)
        except Exception as error:
            self._stages.recorder.gap("claim_failed", detail=f"{type(error).__name__}: {error}")

    def _claim(self, duration: Stated, text: str, where: Mapping[str, object]) -> None:
        subject = self._subject(duration)
        data: dict[str, object] = dict(where)
        if duration.range is not None:
            data["range"] = duration.range
        if duration.counts == "ranks" and duration.role is not None:
            data["accumulator"] = next(name for name, role in ACCUMULATORS.items() if role == duration.role)
        if duration.stage in WALL_CLOCKED and duration.counts == "interval":
            data["clock"] = "wall"
        if len(subject.intervals) > 1:
            data["intervals"] = subject.intervals
        self._stages.recorder.claim(
            duration.seconds,
            source=duration.source,
            role=subject.part.role,
            component=subject.part.component,
            stage=subject.stage,
            counts=duration.counts,
            resolution_ns=duration.resolution_ns,
            text=text,
            interval=subject.intervals[0] if len(subject.intervals) == 1 else None,
            data=data,
        )

    def _subject(self, duration: Stated) -> "_Subject":
        if duration.counts == "ranks":
            return _Subject(duration.stage, Part(duration.role, None), [])
        if (
            duration.range is not None
            and (compiling := self._stages.innermost("backend_compile")) is not None
        ):
            return _Subject(
                duration.stage, compiling.part, _recorded(*compiling.graphs.get(duration.range, []))
            )
        about = self._stages.latest(duration.stage)
        if duration.stage == "graph_capture":
            # The probe captures with the same function, and logs the same line.
            about = self._stages.innermost("graph_capture_probe") or about
        elif duration.stage == "dynamo":
            about = about or self._stages.latest("aot_read")
        if about is not None:
            return _Subject(about.stage, about.part, _recorded(about.interval, *about.also))
        return _Subject(
            duration.stage, part_of(duration.tag, is_encoder=False) if duration.tag else WHOLE, []
        )


def _recorded(*intervals: int) -> list[int]:
    """Return the ids of the intervals whose start could be recorded."""
    return [interval for interval in intervals if interval >= 0]


class _Subject(NamedTuple):
    """What a line is about."""

    stage: str
    part: Part
    intervals: list[int]


class Accumulators:
    """Tracks the accumulators of a CompilationConfig, and claims what was added to them."""

    def __init__(self, stages: Stages, config: Any) -> None:
        self._stages = stages
        self.config: Final = config
        self._last = accumulated(config)

    def pass_over(self, now: dict[str, float]) -> None:
        """Skip what was added up to `now`: it is claimed elsewhere."""
        self._last = now

    def claim_added(
        self,
        source: Any,
        begun: OpenStage,
        now: dict[str, float] | None = None,
        *,
        intervals: Sequence[int] = (),
        even_nothing: bool = False,
    ) -> None:
        """Claim what was added since the last call, up to `now`, as additions for a stage.

        `intervals` are those that an addition counts, if not the stage's own. With `even_nothing`, an
        expected addition of 0 is claimed as well.
        """
        now = accumulated(self.config) if now is None else now
        counted = _recorded(*(intervals or (begun.interval, *begun.also)))
        expected = "encoder_compilation_time" if begun.part.role == "encoder" else "compilation_time"
        for name, after in now.items():
            before = self._last.get(name, 0.0)
            if after == before and not (even_nothing and name == expected):
                continue
            self._stages.recorder.claim(
                after - before,
                source=source,
                role=begun.part.role,
                component=begun.part.component,
                stage=begun.stage,
                counts="addition",
                resolution_ns=_ACCUMULATED_NS,
                text=f"compilation_config.{name}: {before!r} -> {after!r}",
                interval=counted[0] if len(counted) == 1 else None,
                data={"accumulator": name, **({"intervals": counted} if len(counted) > 1 else {})},
            )
        self._last = now


def accumulated(config: Any) -> dict[str, float]:
    """Return the accumulators that a CompilationConfig has, in seconds."""
    return {name: float(value) for name in ACCUMULATORS if (value := getattr(config, name, None)) is not None}


def claim_accumulated(stages: Stages, config: Any, source: Any, counts: Any, whose: str) -> None:
    """Claim the final values of a CompilationConfig's accumulators."""
    for name, seconds in accumulated(config).items():
        claim_total(stages, seconds, source, counts, name, f"{whose} {name} = {seconds!r}")


def claim_total(
    stages: Stages, seconds: float, source: Any, counts: Any, accumulator: str, text: str
) -> None:
    """Claim a total over all compiles of a role."""
    stages.recorder.claim(
        seconds,
        source=source,
        role=ACCUMULATORS[accumulator],
        stage="torch_compile",
        counts=counts,
        resolution_ns=_ACCUMULATED_NS,
        text=text,
        data={"accumulator": accumulator},
    )
