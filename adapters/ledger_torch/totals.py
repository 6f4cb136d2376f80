"""Claims torch's own totals of its compiles: when an engine has started, and when the process ends.

torch adds the lengths of spans up in two places: `compilation_time_metrics`, a list of lengths for every span
by its function's name, which `compile_times()` prints, and one number for each stage that is a column of
CompilationMetrics, which `calculate_time_spent()` returns. `torch._dynamo.reset()` clears both. So a list's
length is the number of its spans in the totals, the last ones of their stage, and this is what a claim's
`data.adds_up` contains: by stage, how many of the intervals that ended last.
"""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, cast

from ledger import Recorder
from ledger_torch.hook_targets import ACCUMULATED, LENGTHS, REPORT, WALL, WALL_KEY
from ledger_torch.spans import Spans

_RESOLUTION_NS: Final = 1
"""torch adds up nanoseconds."""

_NOT_SPANS: Final = frozenset(name for names in ACCUMULATED.values() for name in names)


class Totals:
    """torch's totals in this process."""

    def __init__(self, recorder: Recorder, utils: ModuleType, spans: Spans) -> None:
        self._recorder = recorder
        self._utils: Any = utils
        self._spans = spans
        self._claimed: dict[str, list[float]] | None = None
        """The lengths of all spans, by function, when the totals were claimed."""
        self._exclude_present()
        os.register_at_fork(after_in_child=self._exclude_present)

    def claim(self) -> None:
        """Write the totals as claims, unless torch compiled nothing in this process since the last time."""
        if not self._spans.has_ended:
            return
        try:
            self._claim()
        except Exception as error:
            self._recorder.gap("totals_not_claimed", detail=f"{type(error).__name__}: {error}")

    def _claim(self) -> None:
        lengths = self._lengths()
        others = set(map(id, self._others))
        if any(id(of_key) in others for of_key in lengths.values()):
            self._recorder.gap(
                "totals_not_claimed", detail="they include compiles that were not recorded here"
            )
            return
        if lengths == self._claimed:
            return
        self._claimed = {key: list(of_key) for key, of_key in lengths.items()}
        counts: Counter[str] = Counter()
        for key, of_key in lengths.items():
            if key not in _NOT_SPANS:
                counts[self._spans.stage_of.get(key, key)] += len(of_key)
        spent: dict[str, float] = getattr(self._utils, REPORT)()
        wall_s = spent.pop(WALL_KEY)
        self._write(wall_s, f'{REPORT}()["{WALL_KEY}"]', {stage: counts[stage] for stage in WALL})
        rest = {stage: counts[stage] for stage in spent}
        self._write(math.fsum(spent.values()), f'{REPORT}(), all but "{WALL_KEY}"', rest)
        all_s = math.fsum(length for of_key in lengths.values() for length in of_key)
        self._write(all_s, "compile_times(), all of it", counts, within=self._within(lengths))

    def _write(
        self, seconds: float, report: str, adds_up: Mapping[str, int], **more: Sequence[object]
    ) -> None:
        extra = {name: value for name, value in more.items() if value}
        counted = {stage: number for stage, number in adds_up.items() if number}
        self._recorder.claim(
            seconds,
            source="torch",
            stage=None,
            counts="total",
            resolution_ns=_RESOLUTION_NS,
            text=f"{report} = {round(seconds, 9)}",
            data={"report": report, "adds_up": counted, **extra},
        )

    def _within(self, lengths: Mapping[str, Sequence[float]]) -> list[list[int]]:
        """Return what the totals contain besides spans: interval ids, each with lengths of time inside it."""
        added = {name: Counter(lengths.get(name, ())) for name in _NOT_SPANS}
        found: list[list[int]] = []
        for interval, lengths_by_name in self._spans.accumulated:
            included = [(name, length) for name, length in lengths_by_name.items() if added[name][length] > 0]
            for name, length in included:
                added[name][length] -= 1
            if included:
                found.append([interval, *(round(length * 1e9) for _, length in included)])
        return found

    def _lengths(self) -> dict[str, list[float]]:
        return dict(cast("Mapping[str, list[float]]", getattr(self._utils, LENGTHS)))

    def _exclude_present(self) -> None:
        # What was compiled earlier, or by the parent before a fork, is in the totals as long as its lists
        # exist: a reset creates new ones.
        kept: Mapping[str, Sequence[float]] = getattr(self._utils, LENGTHS, {})
        self._others = [of_key for of_key in kept.values() if of_key]
        self._claimed = None
