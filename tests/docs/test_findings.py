"""The numbers of the findings are those of the sessions that are kept."""

import re

import pytest

from ledger.timeline.spans import union_ns
from tests.support.gpu_starts import gpu_starts
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "findings" / "triton-cache.md").read_text()
STAGES = ("triton_compile", "triton_load", "triton_build")


def cells(is_set: str, start: str) -> list[str]:
    [row] = re.findall(rf"^\| {is_set} \| {start} \| (.*) \|$", PAGE, re.MULTILINE)
    return row.split(" | ")


@pytest.mark.parametrize(("name", "is_set"), [("unset", "not set"), ("pinned", "set")])
@pytest.mark.parametrize("start", ["cold", "warm"])
def test_the_table_is_what_the_sessions_say(name: str, is_set: str, start: str) -> None:
    ready, triton = list[str](), list[str]()
    kernels, compiled = set[int](), set[int]()
    for number in (1, 2, 3):
        [timeline] = gpu_starts(f"triton_cache/{name}{number}-{start}").values()
        (window,) = timeline.startup_windows
        ready.append(f"{window.duration_s:.1f}")
        of_triton = [one for one in timeline.intervals if one.stage in STAGES]
        assert len({one.process for one in of_triton}) == 1
        spans = [(one.start_ns, one.stop_ns) for one in of_triton if one.stop_ns is not None]
        triton.append(f"{union_ns(spans) / 1e9:.1f}")
        answers = [(one.data or {})["cache"] for one in of_triton if one.stage == "triton_compile"]
        kernels.add(len(answers))
        compiled.add(answers.count("miss"))
    counts = [str(number) for numbers in (kernels, compiled) for number in numbers]
    assert cells(is_set, start) == [", ".join(ready), ", ".join(triton), *counts]
