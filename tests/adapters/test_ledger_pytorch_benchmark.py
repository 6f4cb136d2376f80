"""Records for PyTorch's benchmark database: of its form, one for each metric, with a value for each start."""

import json
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest

from ledger import Event, Ledger, LedgerError, parse_event
from ledger.interchange.exporters import export, exporter_of
from ledger.testing import MemoryLedger, SessionBuilder
from ledger_pytorch_benchmark.records import BENCHMARK, BenchmarkRecord, model_of
from tests.support.paths import DATA

S = 1_000_000_000
SCHEMA = json.loads((DATA / "pytorch_benchmark" / "record.schema.json").read_bytes())


def kept(name: str) -> Ledger:
    return MemoryLedger(map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines()))


def written(ledger: Ledger) -> list[BenchmarkRecord]:
    text = b"".join(export(ledger, ledger.sessions(), exporter_of("pytorch-benchmark")))
    found: list[BenchmarkRecord] = json.loads(text)
    jsonschema.validate(found, SCHEMA)
    return found


def by_metric(found: Sequence[BenchmarkRecord]) -> dict[str, Sequence[float]]:
    assert len({record["metric"]["name"] for record in found}) == len(found)
    return {record["metric"]["name"]: record["metric"]["benchmark_values"] for record in found}


def start(
    session: str,
    ready_s: int,
    *,
    label: str | None = "nightly",
    is_ready: bool = True,
    outcome: str = "completed",
    **more: object,
) -> list[Event]:
    """A start that compiles for all but its first second, and became ready, or ended, after so many."""
    builder = SessionBuilder(session, f"{session}-p")
    builder.begin(label=label, wall_ns=int(session) * S)
    builder.milestone(0, "command_started")
    interval = builder.start(S, "torch_compile", role="encoder", source="monitor")
    builder.stop(ready_s * S, interval)
    if is_ready:
        builder.milestone(ready_s * S, "engine_ready")
    builder.end(ready_s * S + 1, "completed" if outcome == "completed" else "failed")
    first, *others = builder.events
    return [first.model_copy(update=more), *others]


@pytest.mark.parametrize("name", ["demo", "vllm", "compilations"])
def test_records_are_of_the_database_s_form(name: str) -> None:
    with kept(name) as ledger:
        found = written(ledger)
    assert {record["benchmark"]["name"] for record in found} == {BENCHMARK}
    assert all(record["dependencies"] for record in found)


def test_values_are_what_the_ledger_says() -> None:
    with kept("vllm") as ledger:
        found = written(ledger)
        for record in found:
            sessions = record["metric"]["extra_info"]["sessions"].split(",")
            for session, value in zip(sessions, record["metric"]["benchmark_values"], strict=True):
                name = record["metric"]["name"]
                timeline = ledger.timeline(session)
                [window] = timeline.startup_windows
                expected = {
                    "time_to_ready_s": window.duration_ns,
                    "unattributed_s": window.unattributed_ns,
                    **{
                        f"{total.role or 'whole_process'}_{total.activity}_s": total.max_ns
                        for total in timeline.session_totals
                    },
                }[name]
                assert value == expected / S
        ready = [record for record in found if record["metric"]["name"] == "time_to_ready_s"]
        assert {record["benchmark"]["extra_info"]["label"] for record in ready} == {"vllm cold", "vllm warm"}


def test_starts_of_one_label_are_runs_of_one_benchmark() -> None:
    with MemoryLedger([*start("1", 3), *start("2", 5), *start("3", 9, label="other")]) as ledger:
        nightly, other = (
            [record for record in written(ledger) if record["benchmark"]["extra_info"]["label"] == label]
            for label in ("nightly", "other")
        )
    assert by_metric(nightly) == {
        "time_to_ready_s": [3, 5],
        "unattributed_s": [1, 1],
        "encoder_compile_s": [2, 4],
    }
    assert {record["metric"]["extra_info"]["sessions"] for record in nightly} == {"1,2"}
    assert by_metric(other)["time_to_ready_s"] == [9]
    assert other[0]["model"] == {"name": "other"}


def test_other_versions_or_another_model_are_another_benchmark() -> None:
    events = [
        *start("1", 3, versions={"torch": "2.12"}, command=("vllm", "serve", "some/model")),
        *start("2", 4, versions={"torch": "2.13"}, command=("vllm", "serve", "some/model")),
        *start("3", 5, versions={"torch": "2.13"}, command=("vllm", "serve", "another/model")),
    ]
    with MemoryLedger(events) as ledger:
        ready = [record for record in written(ledger) if record["metric"]["name"] == "time_to_ready_s"]
    assert [(r["model"]["name"], r["dependencies"], r["metric"]["benchmark_values"]) for r in ready] == [
        ("some/model", {"torch": {"version": "2.12"}}, [3]),
        ("some/model", {"torch": {"version": "2.13"}}, [4]),
        ("another/model", {"torch": {"version": "2.13"}}, [5]),
    ]


def test_a_start_that_failed_on_its_way_is_no_value() -> None:
    failed = start("2", 4, is_ready=False, outcome="failed")
    with MemoryLedger([*start("1", 3), *failed]) as ledger:
        assert by_metric(written(ledger))["encoder_compile_s"] == [2]
    with (
        MemoryLedger(failed) as ledger,
        pytest.raises(LedgerError, match="none of these sessions became ready"),
    ):
        written(ledger)


def test_a_program_that_never_becomes_ready_has_its_roles_alone() -> None:
    with MemoryLedger(start("1", 3, is_ready=False)) as ledger:
        assert by_metric(written(ledger)) == {"encoder_compile_s": [2]}


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("vllm serve facebook/opt-125m --port 8000", "facebook/opt-125m"),
        ("python -m vllm.entrypoints.openai.api_server --model facebook/opt-125m", "facebook/opt-125m"),
        ("python offline.py --model=facebook/opt-125m", "facebook/opt-125m"),
        ("vllm serve --config serve.yaml", None),
        ("python train.py --model", None),
        ("python train.py", None),
        ("", None),
    ],
)
def test_the_model_is_what_the_command_names(command: str, model: str | None) -> None:
    assert model_of(command.split()) == model


def test_it_says_how_to_upload_it() -> None:
    exporter = exporter_of("pytorch-benchmark")
    shown = exporter.open_command(Path("a.db"), Path("out/startup.pytorch.json"))
    assert "upload-benchmark-results" in shown
    assert shown.endswith("/out")
    assert "renaming" in exporter.open_command(Path("a.db"), Path("out/startup.txt"))
