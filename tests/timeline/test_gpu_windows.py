"""From command to ready, of real starts on H200s: the moments stand in the recordings' lines."""

from typing import Any

import pytest

from tests.support.gpu_starts import NEVER_ENDED, answer, gpu_ledger, gpu_objects, selected, union_ns

READY, ENDED = "engine_ready", "command_ended"
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


IN_NO_STAGE = {"llama-cold": 35.7, "llama-warm": 17.1}
"""Seconds before vLLM's first stage, which this version did not record: imports, and a look at the model."""


def moment(objects: list[dict[str, Any]], name: str) -> int:
    """When a milestone was reached; the latest event, for `event`."""
    return max(one["at_ns"] for one in objects if name in ("event", one.get("name")))


@pytest.mark.parametrize("label", WINDOWS)
def test_the_window_of_a_start_and_the_pieces_that_fill_it(label: str) -> None:
    name, until, seconds = WINDOWS[label]
    objects, ledger = gpu_objects(name)[label], gpu_ledger(name, label)
    duration_ns = moment(objects, until) - moment(objects, "command_started")
    window = ("command_started", until, duration_ns)
    assert selected(ledger, "SELECT began_by, ended_by, duration_ns FROM startup_windows") == [window]
    assert round(duration_ns / 1e9, 3) == seconds
    assert selected(ledger, "SELECT sum(duration_ns) FROM startup_breakdown") == [(duration_ns,)]


@pytest.mark.parametrize("label", [label for label in WINDOWS if label not in NEVER_ENDED])
def test_nobody_is_charged_where_no_process_had_a_stage_open(label: str) -> None:
    name, until, _ = WINDOWS[label]
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
