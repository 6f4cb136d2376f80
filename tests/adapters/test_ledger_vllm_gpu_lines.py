"""Each duration that a real start on H200s printed is a claim: of its recording, and of its log's import."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.support.gpu_starts import LOGS, gpu_log, gpu_objects
from tests.support.reading_logs import read

Durations = Counter[tuple[int, str, int]]
"""How often each process, by its pid, stated a duration, in nanoseconds, in a line that begins so."""

LINE: Final = re.compile(r"\(\w+ pid=(\d+)\) INFO \d\d-\d\d \d\d:\d\d:\d\d \[\w+\.py:\d+\] (.*)")
DURATION: Final = re.compile(r"(?<![\w.=])(\d+(?:\.\d+)?) s(?:ecs|econds)?\b")
ACCUMULATORS: Final = ("compilation_config.", "compile_or_warm_up_model:", "engine core:", "front end:")
"""What vLLM adds up and never prints is claimed under these names."""
BEGINNING: Final = 60

NUMBERS = {
    "big-killed-engine": [1.542189, 3.82],
    "dp2-serve-cold": [1.606678, 1.657153, 2.82, 8.32, 12.09, 0.25, 1, 1],
    "fails-kv-cache": [1.29932, 3.51, 4.09, 9.39, 0.23],
    "llama-cold": [1.207902, 1.70, 6.78, 9.03, 0.28, 0, 23.17, 9.03],
    "serve-cold": [],
    "tp2-cold": [1.308079, 1.5183, 2.20, 7.52, 10.38, 0.25, 1, 1, 27.96, 10.38],
    "tp2-warm": [1.484974, 1.751792, 1.15, 0.383, 1.60, 0.62, 1, 1, 5.42, 2.05],
    "tp2-worker-killed": [1.948072, 2.049377, 5.68, 9.53],
    "vl-cold": [
        *(0.189386,),
        *(0.78, 1.18, 2.04, 0.10),
        *(0.59, 2.30, 3.12, 0.14),
        *(0.08, 0.020, 0.11, 0.00),
        *(0.66, 0.91, 1.74, 0.12),
        *(1.30, 8.13, 10.00, 0.21),
        *(1, 27.21, 17.00, 10.00, 7.01),
    ],
}
"""The seconds that the logs state, in their order, read by eye."""


def printed(label: str) -> Durations:
    lines = (match.groups() for match in map(LINE.search, gpu_log(label).splitlines()) if match)
    return Counter(
        (int(pid), text[:BEGINNING], round(float(number) * 1e9))
        for pid, text in lines
        for number in DURATION.findall(text)
    )


def claimed(label: str) -> Durations:
    objects = gpu_objects(LOGS[label])[label]
    pids = {one["process"]: one["pid"] for one in objects if one["kind"] == "process_joined" and "pid" in one}
    return Counter(
        (pids[one["process"]], one["text"][:BEGINNING], one["claimed_ns"])
        for one in objects
        if one["kind"] == "total_claimed"
        and one["source"] != "torch"
        and not one["text"].startswith(ACCUMULATORS)
    )


@pytest.mark.parametrize("label", NUMBERS)
def test_each_duration_of_the_log_is_a_claim_of_the_process_that_printed_it(label: str) -> None:
    durations = printed(label)
    assert sorted(ns for _, _, ns in durations.elements()) == sorted(
        round(seconds * 1e9) for seconds in NUMBERS[label]
    )
    assert claimed(label) == durations


@pytest.mark.parametrize("label", NUMBERS)
def test_an_import_of_the_log_claims_the_same_and_passes_over_our_own_report(
    label: str, tmp_path: Path
) -> None:
    log = gpu_log(label)
    assert "Whose clock says what" in log  # a part of the report that `record` printed at its end
    path = tmp_path / f"{label}.log"
    path.write_text(log)
    imported = read(path)
    pids = {process: joined.pid for process, joined in imported.joined.items()}
    claims = Counter(
        (pids[claim.process], (claim.text or "")[:BEGINNING], claim.claimed_ns) for claim in imported.claims
    )
    assert claims == printed(label)
    assert imported.unread == []


def test_the_logs_are_all_looked_at() -> None:
    assert NUMBERS.keys() == LOGS.keys()
    assert sum(map(len, NUMBERS.values())) == 73
