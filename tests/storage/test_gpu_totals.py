"""The totals of real starts on H200s: as their reports printed them, and once more out of the lines."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.gpu_starts import (
    FOLDER,
    LOGS,
    NEVER_ENDED,
    answer,
    gpu_ledger,
    gpu_objects,
    selected,
    union_ns,
)

Object = dict[str, Any]
Span = tuple[int, int]

WHOLE = None
"""The role of what serves a whole process."""
LANGUAGE = "language_model"
PROGRAM = "<file-1>"

TOTALS = {
    # role, activity, seconds of the slowest process, on the clock, added up; how many processes, the slowest
    "llama-cold": [
        (WHOLE, "startup", 26.398, 26.398, 51.856, 2, PROGRAM),
        (WHOLE, "warmup", 11.736, 11.736, 11.736, 1, "EngineCore"),
        (LANGUAGE, "compile", 9.220, 9.220, 9.220, 1, "EngineCore"),
        (WHOLE, "load", 1.212, 1.212, 1.212, 1, "EngineCore"),
        (WHOLE, "capture", 0.481, 0.481, 0.481, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.281, 0.281, 0.281, 1, "EngineCore"),
    ],
    "vl-cold": [
        (WHOLE, "startup", 30.963, 30.963, 60.575, 2, PROGRAM),
        (LANGUAGE, "compile", 10.182, 10.182, 10.182, 1, "EngineCore"),
        ("encoder", "compile", 7.255, 7.255, 7.255, 1, "EngineCore"),
        (WHOLE, "capture", 2.549, 2.549, 2.549, 1, "EngineCore"),
        (WHOLE, "warmup", 1.601, 1.601, 1.601, 1, "EngineCore"),
        (WHOLE, "load", 1.264, 1.264, 1.264, 1, "EngineCore"),
        ("encoder", "warmup", 0.372, 0.372, 0.372, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.215, 0.215, 0.215, 1, "EngineCore"),
    ],
    "serve-cold": [(WHOLE, "startup", 40.544, 40.544, 61.137, 2, "vllm")],
    "fails-kv-cache": [
        (WHOLE, "startup", 13.065, 13.065, 25.941, 2, PROGRAM),
        (LANGUAGE, "compile", 9.494, 9.494, 9.494, 1, "EngineCore"),
        (WHOLE, "load", 1.304, 1.304, 1.304, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.226, 0.226, 0.226, 1, "EngineCore"),
    ],
    "big-killed-engine": [
        (WHOLE, "startup", 8.368, 8.368, 16.440, 2, PROGRAM),
        (LANGUAGE, "compile", 4.706, 4.706, 4.706, 1, "EngineCore"),
        (WHOLE, "load", 1.555, 1.555, 1.555, 1, "EngineCore"),
    ],
    "tp2-cold": [
        (WHOLE, "startup", 35.631, 35.631, 98.005, 4, PROGRAM),
        (WHOLE, "warmup", 14.504, 14.504, 28.942, 2, "Worker_TP1"),
        (LANGUAGE, "compile", 10.507, 10.531, 20.877, 2, "Worker_TP0"),
        (WHOLE, "load", 1.523, 1.641, 2.836, 2, "Worker_TP1"),
        (WHOLE, "capture", 0.685, 0.685, 1.368, 2, "Worker_TP1"),
        (LANGUAGE, "warmup", 0.328, 0.338, 0.578, 2, "Worker_TP1"),
    ],
    "tp2-warm": [
        (WHOLE, "startup", 14.186, 14.186, 36.340, 4, PROGRAM),
        (LANGUAGE, "compile", 2.054, 2.127, 3.657, 2, "Worker_TP1"),
        (WHOLE, "load", 1.759, 1.774, 3.249, 2, "Worker_TP1"),
        (WHOLE, "warmup", 1.308, 1.308, 2.616, 2, "Worker_TP1"),
        (LANGUAGE, "warmup", 0.623, 0.659, 0.759, 2, "Worker_TP0"),
        (WHOLE, "capture", 0.610, 0.610, 1.211, 2, "Worker_TP0"),
    ],
    "tp2-worker-killed": [
        (WHOLE, "startup", 21.526, 21.526, 70.443, 4, PROGRAM),
        (LANGUAGE, "compile", 15.586, 15.618, 22.084, 2, "Worker_TP0"),
        (WHOLE, "load", 2.058, 2.074, 4.015, 2, "Worker_TP0"),
    ],
    "dp2-serve-cold": [
        (WHOLE, "startup", 49.826, 65.213, 219.344, 6, "EngineCore_DP0"),
        (LANGUAGE, "compile", 15.473, 15.535, 27.669, 2, "Worker [10289-349745ae]"),
        (WHOLE, "warmup", 6.409, 6.462, 7.158, 2, "Worker [10288-15316ab6]"),
        (WHOLE, "load", 1.665, 3.280, 3.280, 2, "Worker [10288-15316ab6]"),
        (WHOLE, "capture", 0.708, 0.712, 1.366, 2, "Worker [10289-349745ae]"),
        (LANGUAGE, "warmup", 0.250, 0.273, 0.494, 2, "Worker [10288-15316ab6]"),
    ],
}
"""The table that the report at the end of each start's log begins with."""

assert TOTALS.keys() == LOGS.keys()


@pytest.mark.parametrize("label", TOTALS)
def test_the_totals_of_a_session_are_those_that_its_start_printed(label: str) -> None:
    ledger = gpu_ledger(LOGS[label], label)
    expected = TOTALS[label]
    columns = ("role", "activity", "seconds", "slowest", "processes")
    assert answer(ledger, "role_totals", *columns) == [
        (role, activity, most, slowest, processes)
        for role, activity, most, _, _, processes, slowest in expected
    ]
    sql = "SELECT role, activity, max_s, union_s, sum_s FROM session_totals ORDER BY max_ns DESC"
    assert selected(ledger, sql) == [row[:5] for row in expected]


# Added up once more, from the lines of the recording alone


def ended_spans(objects: Iterable[Object]) -> dict[tuple[str, str | None, str], list[Span]]:
    """By process, role and activity: each stage that ended, its role its own or of what it is part of."""
    started: dict[tuple[str, int | None], Object] = {}
    spans: defaultdict[tuple[str, str | None, str], list[Span]] = defaultdict(list)
    for one in objects:
        key = (one["process"], one.get("interval"))
        if one["kind"] == "stage_started":
            started[key] = one
        elif one["kind"] == "stage_stopped":
            giver = start = started[key]
            while not giver.get("role") and giver.get("parent") is not None:
                giver = started[one["process"], giver["parent"]]
            spans[one["process"], giver.get("role"), start["activity"]].append((start["at_ns"], one["at_ns"]))
    return spans


RECORDINGS = sorted(
    str(file.relative_to(FOLDER)).removesuffix(".jsonl.gz") for file in FOLDER.rglob("*.jsonl.gz")
)


@pytest.mark.parametrize("name", RECORDINGS)
def test_each_total_of_a_role_is_the_union_of_its_stages_on_the_clock(name: str) -> None:
    for label in gpu_objects(name).keys() - NEVER_ENDED:
        expected = {key: union_ns(spans) for key, spans in ended_spans(gpu_objects(name)[label]).items()}
        sql = "SELECT process, role, activity, total_ns FROM role_totals"
        assert {row[:3]: row[3] for row in selected(gpu_ledger(name, label), sql)} == expected
