"""From command to ready, of real starts on H200s: the moments stand in the recordings' lines."""

from typing import Any

import pytest

from tests.support.gpu_starts import NEVER_ENDED, answer, gpu_ledger, gpu_objects, selected, union_ns

PROGRAM = "<file-1>"
READY, ENDED, SERVES = "engine_ready", "command_ended", "server_ready"
WINDOWS = {
    # the recording, and until what it goes on, and for how many seconds
    "llama-cold": ("llama", READY, 62.142),
    "llama-warm": ("llama", READY, 24.671),
    "llama-warm-2": ("llama", READY, 24.330),
    "vl-cold": ("vl", READY, 63.193),
    "vl-warm": ("vl", READY, 28.711),
    "big-cold": ("big", READY, 75.990),
    "big-warm": ("big", READY, 24.927),
    "tp2-cold": ("tp2", READY, 67.469),
    "tp2-warm": ("tp2", READY, 36.055),
    "v1-runner-cold": ("v1", READY, 64.426),
    "v1-runner-warm": ("v1", READY, 23.687),
    "plain-cold": ("triton-plain", READY, 93.388),
    "plain-warm-1": ("triton-plain", READY, 47.726),
    "plain-warm-2": ("triton-plain", ENDED, 25.194),
    "serve-cold": ("serve", ENDED, 61.801),
    "serve-warm": ("serve", ENDED, 43.133),
    "dp2-serve-cold": ("dp2", ENDED, 151.462),
    "fails-memory": ("fails", ENDED, 65.812),
    "fails-length": ("fails", ENDED, 17.457),
    "fails-kv-cache": ("fails", ENDED, 29.164),
    "big-killed-engine": ("killed", ENDED, 43.838),
    "big-killed-all": ("killed", "event", 42.328),
    "tp2-worker-killed": ("tp2killed", ENDED, 70.907),
}
FROM_BIRTH = {
    # the recording of a start from the birth of its processes on: "… s from the command to …", where it was
    # printed; text-warm and tp2 from the moments in their lines
    "text-cold": (SERVES, 59.354),
    "text-warm": (SERVES, 24.672),
    "vl-cold": (SERVES, 61.306),
    "vl-warm": (SERVES, 23.230),
    "eagle-cold": (SERVES, 116.432),
    "eagle-warm": (SERVES, 54.818),
    "tp2-cold": (SERVES, 72.093),
    "tp2-warm": (SERVES, 30.725),
    "pp2-cold": (SERVES, 85.515),
    "pp2-warm": (SERVES, 30.431),
    "v020-cold": (SERVES, 66.688),
    "v020-warm": (SERVES, 31.099),
    "fails-cold": (ENDED, 33.058),
    "killed-cold": (ENDED, 42.002),
}
STARTS = [
    *((name, label, until, seconds) for label, (name, until, seconds) in WINDOWS.items()),
    *((name, name, *FROM_BIRTH[name]) for name in FROM_BIRTH),
]
COMPLETE = [(name, label, until) for name, label, until, _ in STARTS if label not in NEVER_ENDED]

IN_NO_STAGE = {"llama-cold": 35.7, "llama-warm": 17.1}
"""Seconds before vLLM's first stage, which this version did not record: imports, and a look at the model."""


def moment(objects: list[dict[str, Any]], name: str) -> int:
    """When a milestone was reached; the latest event, for `event`."""
    return max(one["at_ns"] for one in objects if name in ("event", one.get("name")))


@pytest.mark.parametrize(("name", "label", "until", "seconds"), STARTS)
def test_the_window_of_a_start_and_the_pieces_that_fill_it(
    name: str, label: str, until: str, seconds: float
) -> None:
    objects, ledger = gpu_objects(name)[label], gpu_ledger(name, label)
    duration_ns = moment(objects, until) - moment(objects, "command_started")
    window = ("command_started", until, duration_ns)
    assert selected(ledger, "SELECT began_by, ended_by, duration_ns FROM startup_windows") == [window]
    assert round(duration_ns / 1e9, 3) == seconds
    assert selected(ledger, "SELECT sum(duration_ns) FROM startup_breakdown") == [(duration_ns,)]


@pytest.mark.parametrize(("name", "label", "until"), COMPLETE)
def test_nobody_is_charged_where_no_process_had_a_stage_open(name: str, label: str, until: str) -> None:
    objects = gpu_objects(name)[label]
    began, ended = moment(objects, "command_started"), moment(objects, until)
    stops = {
        (one["process"], one["interval"]): one["at_ns"] for one in objects if one["kind"] == "stage_stopped"
    }
    starts = [one for one in objects if one["kind"] == "stage_started"]
    open_ns = union_ns(
        (max(began, one["at_ns"]), min(ended, stop))
        for one in starts
        if (stop := stops[one["process"], one["interval"]]) > began and one["at_ns"] < ended
    )
    in_no_stage = selected(gpu_ledger(name, label), "SELECT unattributed_ns FROM startup_windows")
    assert in_no_stage == [(ended - began - open_ns,)]
    if label in IN_NO_STAGE:
        assert round(in_no_stage[0][0] / 1e9, 1) == IN_NO_STAGE[label]


@pytest.mark.parametrize("name", FROM_BIRTH)
def test_next_to_nothing_of_a_start_from_its_birth_is_in_no_stage(name: str) -> None:
    [(duration_ns, in_no_stage_ns)] = selected(
        gpu_ledger(name), "SELECT duration_ns, unattributed_ns FROM startup_windows"
    )
    assert in_no_stage_ns * 1000 <= duration_ns


LONGEST = {
    # process, stage: as printed under "From command to ready", less the imports
    "vl-cold": [
        ("EngineCore", "triton_compile", 8.097),
        ("EngineCore", "bytecode_tracing", 2.062),
        (PROGRAM, "waiting", 1.674),
    ],
    "eagle-cold": [
        ("EngineCore", "graph_capture", 31.670),
        ("EngineCore", "triton_compile", 13.946),
        ("EngineCore", "triton_build", 9.202),
        (PROGRAM, "waiting", 3.449),
        ("EngineCore", "bytecode_tracing", 1.637),
    ],
    "pp2-cold": [
        ("Worker_PP0", "step_warmup", 10.231),
        ("Worker_PP1", "triton_compile", 5.296),
        ("EngineCore", "engine_core_init", 3.568),
        ("Worker_PP0", "triton_build", 2.704),
    ],
    "v020-cold": [
        ("EngineCore", "triton_compile", 8.635),
        (PROGRAM, "waiting", 1.934),
        ("EngineCore", "bytecode_tracing", 1.889),
    ],
    "killed-cold": [
        ("compile-ledger", "process_exit", 2.448),
        (PROGRAM, "waiting", 1.998),
        ("EngineCore", "model_load", 1.298),
    ],
}


@pytest.mark.parametrize("name", LONGEST)
def test_which_stages_took_most_from_the_command_on(name: str) -> None:
    sql = """
        SELECT p.name, b.stage, sum(b.duration_ns) / 1e9 AS seconds
        FROM startup_breakdown b
        JOIN process_names p USING (session, process)
        WHERE b.stage <> 'import'
        GROUP BY b.process, b.stage
        ORDER BY seconds DESC
    """
    assert selected(gpu_ledger(name), sql)[: len(LONGEST[name])] == LONGEST[name]


def test_what_passes_before_the_first_stage_of_a_served_engine() -> None:
    """The front end imports and configures for so long, and the engine's process does so once more."""
    columns = ("label", "process", "stage", "seconds")
    found = [row for row in answer(gpu_ledger("serve"), "startup", *columns) if row[2] == "process_start"]
    assert found == [
        ("serve-cold", "EngineCore", "process_start", 20.591),
        ("serve-cold", "vllm", "process_start", 17.477),
        ("serve-warm", "vllm", "process_start", 22.696),
        ("serve-warm", "EngineCore", "process_start", 15.917),
    ]
