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
Total = tuple[str | None, str, float, float, float, int, str]

WHOLE = None
"""The role of what serves a whole process."""
LANGUAGE = "language_model"
PROGRAM = "<file-1>"

TOTALS: dict[str, list[Total]] = {
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
        (LANGUAGE, "compile", 15.473, 15.535, 27.669, 2, "Worker pid 10289"),
        (WHOLE, "warmup", 6.409, 6.462, 7.158, 2, "Worker pid 10288"),
        (WHOLE, "load", 1.665, 3.280, 3.280, 2, "Worker pid 10288"),
        (WHOLE, "capture", 0.708, 0.712, 1.366, 2, "Worker pid 10289"),
        (LANGUAGE, "warmup", 0.250, 0.273, 0.494, 2, "Worker pid 10288"),
    ],
}
"""The table that the report at the end of each start's log begins with."""

TOTALS_FROM_BIRTH: dict[str, list[Total]] = {
    # the same of starts that are recorded from the birth of each process on
    "text-cold": [
        (WHOLE, "startup", 59.336, 61.162, 101.342, 4, PROGRAM),
        (WHOLE, "warmup", 11.517, 11.517, 11.517, 1, "EngineCore"),
        (WHOLE, "compile", 10.453, 10.453, 10.453, 1, "EngineCore"),
        (LANGUAGE, "compile", 9.241, 9.241, 9.241, 1, "EngineCore"),
        (WHOLE, "load", 1.238, 1.238, 1.238, 1, "EngineCore"),
        (WHOLE, "capture", 0.467, 0.467, 0.467, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.206, 0.206, 0.206, 1, "EngineCore"),
    ],
    "vl-cold": [
        (WHOLE, "startup", 61.288, 63.206, 105.427, 4, PROGRAM),
        (LANGUAGE, "compile", 8.030, 8.030, 8.030, 1, "EngineCore"),
        ("encoder", "compile", 7.729, 7.729, 7.729, 1, "EngineCore"),
        (WHOLE, "warmup", 4.820, 4.820, 4.820, 1, "EngineCore"),
        (WHOLE, "compile", 3.769, 3.769, 3.769, 1, "EngineCore"),
        (WHOLE, "capture", 2.299, 2.299, 2.299, 1, "EngineCore"),
        (WHOLE, "load", 1.256, 1.256, 1.256, 1, "EngineCore"),
        ("encoder", "warmup", 0.400, 0.400, 0.400, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.257, 0.257, 0.257, 1, "EngineCore"),
    ],
    "vl-warm": [
        (WHOLE, "startup", 23.214, 25.104, 33.683, 3, PROGRAM),
        (WHOLE, "capture", 1.909, 1.909, 1.909, 1, "EngineCore"),
        (WHOLE, "warmup", 1.267, 1.267, 1.267, 1, "EngineCore"),
        (WHOLE, "load", 1.160, 1.160, 1.160, 1, "EngineCore"),
        ("encoder", "compile", 0.941, 0.941, 0.941, 1, "EngineCore"),
        (LANGUAGE, "compile", 0.322, 0.322, 0.322, 1, "EngineCore"),
        ("encoder", "warmup", 0.094, 0.094, 0.094, 1, "EngineCore"),
        (WHOLE, "compile", 0.016, 0.016, 0.016, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.008, 0.008, 0.008, 1, "EngineCore"),
    ],
    "eagle-cold": [
        (WHOLE, "startup", 116.421, 118.818, 217.133, 5, PROGRAM),
        (WHOLE, "warmup", 50.703, 50.703, 50.703, 1, "EngineCore"),
        (WHOLE, "capture", 31.670, 31.670, 31.670, 1, "EngineCore"),
        ("drafter", "capture", 31.058, 31.058, 31.058, 1, "EngineCore"),
        (WHOLE, "compile", 18.397, 18.397, 18.397, 1, "EngineCore"),
        (LANGUAGE, "compile", 9.471, 9.471, 9.471, 1, "EngineCore"),
        ("drafter", "startup", 3.632, 3.632, 3.632, 1, "EngineCore"),
        ("drafter", "compile", 3.573, 3.573, 3.573, 1, "EngineCore"),
        (WHOLE, "load", 1.424, 1.424, 1.424, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.213, 0.213, 0.213, 1, "EngineCore"),
        ("drafter", "warmup", 0.128, 0.128, 0.128, 1, "EngineCore"),
        ("drafter", "load", 0.013, 0.013, 0.013, 1, "EngineCore"),
    ],
    "eagle-warm": [
        (WHOLE, "startup", 54.801, 56.957, 94.829, 3, PROGRAM),
        (WHOLE, "warmup", 32.045, 32.045, 32.045, 1, "EngineCore"),
        (WHOLE, "capture", 31.481, 31.481, 31.481, 1, "EngineCore"),
        ("drafter", "capture", 31.045, 31.045, 31.045, 1, "EngineCore"),
        (WHOLE, "load", 1.282, 1.282, 1.282, 1, "EngineCore"),
        (LANGUAGE, "compile", 1.181, 1.181, 1.181, 1, "EngineCore"),
        ("drafter", "startup", 0.344, 0.344, 0.344, 1, "EngineCore"),
        ("drafter", "compile", 0.224, 0.224, 0.224, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.079, 0.079, 0.079, 1, "EngineCore"),
        (WHOLE, "compile", 0.078, 0.078, 0.078, 1, "EngineCore"),
        ("drafter", "load", 0.012, 0.012, 0.012, 1, "EngineCore"),
        ("drafter", "warmup", 0.009, 0.009, 0.009, 1, "EngineCore"),
    ],
    "pp2-cold": [
        (WHOLE, "startup", 85.495, 87.595, 184.227, 6, PROGRAM),
        (WHOLE, "warmup", 15.691, 16.143, 30.700, 2, "Worker_PP1"),
        (LANGUAGE, "compile", 12.895, 12.895, 24.725, 2, "Worker_PP1"),
        (WHOLE, "compile", 11.146, 14.543, 14.781, 2, "Worker_PP1"),
        (WHOLE, "load", 1.638, 1.684, 3.258, 2, "Worker_PP1"),
        (WHOLE, "capture", 0.638, 0.646, 1.244, 2, "Worker_PP0"),
        (LANGUAGE, "warmup", 0.241, 0.482, 0.482, 2, "Worker_PP0"),
    ],
    "pp2-warm": [
        (WHOLE, "startup", 30.406, 32.962, 59.392, 5, PROGRAM),
        (WHOLE, "load", 1.717, 1.790, 3.139, 2, "Worker_PP1"),
        (WHOLE, "warmup", 1.614, 1.619, 3.078, 2, "Worker_PP1"),
        (LANGUAGE, "compile", 1.290, 1.346, 2.458, 2, "Worker_PP0"),
        (WHOLE, "capture", 0.459, 0.460, 0.910, 2, "Worker_PP0"),
        (LANGUAGE, "warmup", 0.104, 0.204, 0.204, 2, "Worker_PP1"),
        (WHOLE, "compile", 0.090, 0.115, 0.117, 2, "Worker_PP1"),
    ],
    "v020-cold": [
        (WHOLE, "startup", 66.675, 69.015, 113.249, 4, PROGRAM),
        (LANGUAGE, "compile", 13.536, 13.536, 13.536, 1, "EngineCore"),
        (WHOLE, "warmup", 6.038, 6.038, 6.038, 1, "EngineCore"),
        (WHOLE, "compile", 5.128, 5.128, 5.128, 1, "EngineCore"),
        (WHOLE, "capture", 2.593, 2.593, 2.593, 1, "EngineCore"),
        (WHOLE, "load", 1.361, 1.361, 1.361, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.202, 0.202, 0.202, 1, "EngineCore"),
    ],
    "v020-warm": [
        (WHOLE, "startup", 31.073, 33.622, 43.530, 3, PROGRAM),
        (WHOLE, "capture", 2.128, 2.128, 2.128, 1, "EngineCore"),
        (LANGUAGE, "compile", 1.519, 1.519, 1.519, 1, "EngineCore"),
        (WHOLE, "load", 1.391, 1.391, 1.391, 1, "EngineCore"),
        (WHOLE, "warmup", 1.096, 1.096, 1.096, 1, "EngineCore"),
        (LANGUAGE, "warmup", 0.088, 0.088, 0.088, 1, "EngineCore"),
        (WHOLE, "compile", 0.026, 0.026, 0.026, 1, "EngineCore"),
    ],
    "killed-cold": [
        (WHOLE, "startup", 39.534, 41.983, 63.546, 4, PROGRAM),
        (LANGUAGE, "compile", 3.929, 3.929, 3.929, 1, "EngineCore"),
        (WHOLE, "load", 1.659, 1.659, 1.659, 1, "EngineCore"),
    ],
    "fails-cold": [
        (WHOLE, "startup", 30.750, 33.035, 47.151, 3, PROGRAM),
    ],
}
"""By the name of the recording."""

assert TOTALS.keys() == LOGS.keys()


STARTS = [
    *((LOGS[label], label, TOTALS[label]) for label in TOTALS),
    *((name, name, TOTALS_FROM_BIRTH[name]) for name in TOTALS_FROM_BIRTH),
]


@pytest.mark.parametrize(("name", "label", "expected"), STARTS)
def test_the_totals_of_a_session_are_those_that_its_start_printed(
    name: str, label: str, expected: list[Total]
) -> None:
    ledger = gpu_ledger(name, label)
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
