"""Results of `vllm bench startup`, printed and as JSON: made-up measurements, written by vLLM 0.33's code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger import Event, GapNoted, SessionStarted, TotalClaimed, UnrecognisedFile, reduce
from ledger.adapters import UnreadLine
from ledger.cli import app
from ledger.interchange.importers import importer_of
from ledger_vllm_bench import BenchImporter
from tests.support.paths import DATA

RESULTS = DATA / "vllm_bench"
OLD = """COLD STARTUP:
Avg total startup time: 68.47 seconds
Avg compilation time:   30.69 seconds
Startup time percentiles:
  10%: 68.47 seconds
"""


def read(path: Path) -> list[Event]:
    items = list(BenchImporter().read(path, lambda _: None))
    assert not [item for item in items if isinstance(item, UnreadLine)]
    return [item for item in items if not isinstance(item, UnreadLine)]


def claims(path: Path, label: str) -> list[tuple[str | None, str | None, float]]:
    found = read(path)
    [session] = [e.session for e in found if isinstance(e, SessionStarted) and e.label == label]
    of_it = [e for e in found if isinstance(e, TotalClaimed) and e.session == session]
    return [(claim.stage, claim.role, claim.claimed_ns / 1e9) for claim in of_it]


def test_each_start_of_a_json_result_is_a_session_of_claims() -> None:
    found = read(RESULTS / "startup.json")
    labels = [event.label for event in found if isinstance(event, SessionStarted)]
    assert labels == ["cold-1", "cold-2", "warm-1", "warm-2"]
    assert claims(RESULTS / "startup.json", "cold-2") == [
        ("startup", None, 53.5644),
        ("torch_compile", "language_model", 28.2124),
        ("torch_compile", "encoder", 3.5),
    ]


@pytest.mark.parametrize("name", ["startup.json", "startup.txt"])
def test_a_result_has_no_intervals_and_says_so(name: str) -> None:
    found = read(RESULTS / name)
    for session in {event.session for event in found}:
        timeline = reduce(event for event in found if event.session == session)
        assert timeline.intervals == ()
        assert {one.main_cause for one in timeline.reconciliation} == {"unmatched"}
    assert all("no time stamps" in (e.detail or "") for e in found if isinstance(e, GapNoted))


def test_a_printed_result_states_averages_and_percentiles_of_each_kind_of_start() -> None:
    # (48.1816 + 53.5644) / 2, and six percentiles of each of three times.
    assert claims(RESULTS / "startup.txt", "cold")[0] == ("startup", None, 50.87)
    assert len(claims(RESULTS / "startup.txt", "cold")) == 3 * 7


def test_the_wording_before_the_encoders_is_read(tmp_path: Path) -> None:
    path = tmp_path / "printed.txt"
    path.write_text(f"STARTUP TIME BENCHMARK RESULTS\n{OLD}")
    assert claims(path, "cold") == [
        ("startup", None, 68.47),
        ("torch_compile", "language_model", 30.69),
        ("startup", None, 68.47),
    ]


def test_a_sweeps_summary_is_a_session_for_each_start_of_each_run(tmp_path: Path) -> None:
    result = json.loads((RESULTS / "startup.json").read_text())
    runs = [
        result | {"run_number": number, "_benchmark_name": "tp2", "tensor_parallel_size": 2}
        for number in (0, 1)
    ]
    runs[1] = runs[1] | {"cold_startup_times": [50.5, 51.5]}
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(runs, indent=4))
    labels = [event.label for event in read(path) if isinstance(event, SessionStarted)]
    assert labels == [
        f"tp2 run {run} {start}-{n}" for run in (0, 1) for start in ("cold", "warm") for n in (1, 2)
    ]
    assert claims(path, "tp2 run 0 cold-2") == claims(RESULTS / "startup.json", "cold-2")
    assert claims(path, "tp2 run 1 cold-1")[0] == ("startup", None, 50.5)
    [claim, *_] = [event for event in read(path) if isinstance(event, TotalClaimed)]
    assert claim.data == {
        "parameters": {"run_number": 0, "_benchmark_name": "tp2", "tensor_parallel_size": 2}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "stage"), [("cold_startup", "startup"), ("warm_compilation", "torch_compile")]
)
def test_a_record_for_pytorchs_database_has_the_times_of_one_metric(
    metric: str, stage: str, tmp_path: Path
) -> None:
    result = json.loads((RESULTS / "startup.json").read_text())
    times = f"{metric}_times"
    record = {
        "benchmark": {"name": "vLLM benchmark", "extra_info": {"args": {"tensor_parallel_size": 1}}},
        "model": {"name": "m/x"},
        "metric": {
            "name": f"avg_{metric}_time", "benchmark_values": [result[f"avg_{metric}_time"]],
            "extra_info": {times: result[times], f"{metric}_percentiles": result[f"{metric}_percentiles"]},
        },
    }  # fmt: skip
    path = tmp_path / f"startup.{metric}.pytorch.json"
    path.write_text(json.dumps([record]))
    phase = metric.partition("_")[0]
    found = [claims(path, f"m/x {phase}-{number}") for number in (1, 2)]
    assert [[(one, seconds) for one, _, seconds in each] for each in found] == [
        [(stage, seconds)] for seconds in result[times]
    ]


@pytest.mark.parametrize("name", ["startup.json", "summary.json", "x.pytorch.json"])
def test_the_command_reads_it_and_a_report_says_what_there_is(name: str, tmp_path: Path) -> None:
    result = json.loads((RESULTS / "startup.json").read_text())
    whole = {
        "startup.json": result,
        "summary.json": [result | {"run_number": 0}],
        "x.pytorch.json": [{"model": {"name": "m"}, "metric": {"extra_info": {"warm_startup_times": [3.5]}}}],
    }
    (tmp_path / name).write_text(json.dumps(whole[name]))
    shown = CliRunner().invoke(app, ["import", str(tmp_path / name), "-o", str(tmp_path / "a.db")])
    assert (shown.exit_code, "a result of vllm bench startup" in shown.output) == (0, True), shown.output
    report = CliRunner().invoke(app, ["report", str(tmp_path / "a.db")])
    assert "nothing says when" in report.output
    assert "0.000 s" not in report.output


@pytest.mark.parametrize(
    "content",
    ['{"avg_latency": 1.5, "latencies": [1.5]}', "============ Serving Benchmark Result ============\n"],
)
def test_a_result_about_requests_is_refused_with_what_could_be_read(content: str, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    path.write_text(content)
    with pytest.raises(UnrecognisedFile, match=r"no start-up times: .*`vllm bench startup`"):
        importer_of(path)


def test_a_result_among_the_engines_own_lines_is_left_to_the_reader_of_logs() -> None:
    line = b"INFO 11-22 09:18:02 [monitor.py:53] torch.compile took 16.77 s in total\n"
    head = line + (RESULTS / "startup.txt").read_bytes()
    assert not BenchImporter().recognises(RESULTS / "startup.txt", head)
