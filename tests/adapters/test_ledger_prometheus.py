"""The official parser reads what is written for node_exporter, and finds in it what the ledger says."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from typer.testing import CliRunner

from ledger import Event, Ledger, Timeline, parse_event
from ledger.adapters import Exporter
from ledger.cli import app
from ledger.events.models import MilestoneReached, SessionStarted
from ledger.events.rows import to_row
from ledger.interchange.exporters import export, exporter_of
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from ledger_prometheus import exporter as module
from ledger_prometheus.exporter import MetricsExporter
from ledger_prometheus.metrics import METRICS
from ledger_prometheus.text_format import label_name, metric_lines, seconds
from tests.support.paths import DATA

HOSTILE = [
    'it\'s "quoted"', "two\nlines", "back\\slash", "a literal \\n", "ends with \\", '"} 1\nforged{x="', "\r",
    "ünï☃\u2028", "x" * 10_000, "{}#,= ",
]  # fmt: skip
S = 1_000_000_000


def kept(name: str) -> Ledger:
    return MemoryLedger(map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines()))


@pytest.fixture(scope="module")
def vllm() -> Iterator[Ledger]:
    with kept("vllm") as opened:
        yield opened


def text_of(ledger: Ledger, *sessions: str) -> str:
    ids = [ledger.session(session) for session in sessions] or ledger.sessions()
    return b"".join(export(ledger, ids, exporter_of("prometheus"))).decode()


def families(text: str) -> dict[str, Metric]:
    """Return what the parser finds, by the metrics' names."""
    parsed = list(text_string_to_metric_families(text))
    assert len({family.name for family in parsed}) == len(parsed)
    return {family.name.removeprefix("compile_ledger_"): family for family in parsed}


def samples(text: str, name: str) -> list[Sample]:
    found = families(text)
    return found[name].samples if name in found else []


def by_label(found: Sequence[Sample], *labels: str) -> dict[tuple[str, ...], int]:
    """Return samples in nanoseconds, summed by some of their labels."""
    summed: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for sample in found:
        summed[tuple(sample.labels[label] for label in labels)] += round(sample.value * S)
    return summed


def with_names(text: str) -> list[Event]:
    """Return a session in which everything that may be named anyhow is called `text`."""
    builder = SessionBuilder("session", text)
    builder.begin(label=text)
    builder.stop(3 * S, builder.start(S, text, role=text, activity=text))
    builder.end(4 * S)
    return builder.events


def test_it_is_an_exporter_by_its_name() -> None:
    found: Exporter = exporter_of("prometheus")
    assert isinstance(found, MetricsExporter)
    assert found.is_text


@pytest.mark.parametrize("name", ["demo", "vllm", "compilations"])
def test_names_follow_the_conventions(name: str) -> None:
    text = text_of(kept(name))
    assert text.endswith("\n")
    assert [metric.name for metric in METRICS] == [
        line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")
    ]
    for metric in families(text).values():
        assert re.fullmatch(r"compile_ledger_[a-z_]+_(seconds|info)", metric.name)
        assert metric.type == "gauge"
        assert re.fullmatch(r"[A-Z].*\.", metric.documentation)
        for sample in metric.samples:
            assert sample.name == metric.name
            # The textfile collector refuses a file that has one.
            assert sample.timestamp is None


def test_no_two_samples_are_of_one_series(vllm: Ledger) -> None:
    text = text_of(vllm)
    series = [
        (sample.name, *sorted(sample.labels.items()))
        for metric in families(text).values()
        for sample in metric.samples
    ]
    assert max(Counter(series).values()) == 1
    assert {sample.labels["label"] for sample in samples(text, "startup_seconds")} == {
        "vllm cold",
        "vllm warm",
    }


def test_stages_and_what_is_unattributed_add_up_to_the_start(vllm: Ledger) -> None:
    text = text_of(vllm)
    startups = by_label(samples(text, "startup_seconds"), "session")
    stages = by_label(samples(text, "stage_seconds"), "session")
    unattributed = by_label(samples(text, "unattributed_seconds"), "session")
    for session in vllm.sessions():
        (window,) = vllm.timeline(session).startup_windows
        assert startups[session,] == window.duration_ns
        assert unattributed[session,] == window.unattributed_ns
        assert stages[session,] + unattributed[session,] == window.duration_ns


def test_each_stage_has_the_time_of_its_pieces(vllm: Ledger) -> None:
    timeline = vllm.timeline("vllm cold")
    names = {process.process: process.name or process.process for process in timeline.processes}
    expected: Counter[tuple[str, ...]] = Counter()
    for piece in timeline.startup_breakdown:
        if piece.stage and piece.activity and piece.process:
            expected[names[piece.process], piece.activity, piece.stage] += piece.duration_ns
    found = samples(text_of(vllm, "vllm cold"), "stage_seconds")
    assert by_label(found, "process", "activity", "stage") == expected
    assert {sample.labels["rank"] for sample in found} == {"", "0"}


def test_a_role_has_the_time_of_its_slowest_process(vllm: Ledger) -> None:
    timeline = vllm.timeline("vllm cold")
    assert by_label(samples(text_of(vllm, "vllm cold"), "role_seconds"), "role", "activity") == {
        (total.role or "", total.activity): total.max_ns for total in timeline.session_totals
    }


def test_versions_outcome_and_moment_of_the_start(vllm: Ledger) -> None:
    text = text_of(vllm, "vllm cold")
    session = vllm.timeline("vllm cold").session
    assert session is not None
    (info,) = samples(text, "session_info")
    assert info.value == 1
    assert info.labels.items() >= {
        ("session", session.session), ("label", "vllm cold"), ("outcome", "completed"),
        ("vllm_version", session.versions["vllm"]), ("torch_version", session.versions["torch"]),
    }  # fmt: skip
    started_events = [event for event in vllm.events("vllm cold") if event.kind == "session_started"]
    walls = [event.wall_ns for event in started_events if event.wall_ns]
    (started,) = samples(text, "session_start_time_seconds")
    assert round(started.value * 1e6) == min(walls) // 1_000


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_read_back_as_it_is(name: str) -> None:
    found = families(text_of(MemoryLedger(with_names(name))))
    # But for what would give a terminal orders, or end a line there: who prints the file sees that.
    name = name.translate(dict.fromkeys(map(ord, "\r\u2028"), "\N{REPLACEMENT CHARACTER}"))
    assert len(found) == len(METRICS)
    (stage,), (role,) = found["stage_seconds"].samples, found["role_seconds"].samples
    own = {"label": name, "process": name, "stage": name, "activity": name}
    assert (stage.labels.items() >= own.items(), stage.value) == (True, 2)
    assert role.labels == {"session": "session", "label": name, "role": name, "activity": name}


def test_a_nul_is_replaced() -> None:
    text = text_of(MemoryLedger(with_names("a\0b")))
    assert "\0" not in text
    assert samples(text, "role_seconds")[0].labels["role"] == "a\N{REPLACEMENT CHARACTER}b"


def test_versions_whose_names_no_label_can_have_are_told_apart() -> None:
    versions = {"a-b": "1", "a.b": "2", "7z": "3"}
    started = SessionStarted(session="s", process="p", seq=0, at_ns=0, versions=versions)
    (info,) = samples(text_of(MemoryLedger([started])), "session_info")
    own = {name: value for name, value in info.labels.items() if name.endswith(("version", "version_"))}
    assert own == {"a_b_version": "1", "a_b_version_": "2", "_7z_version": "3"}


def test_processes_of_one_name_share_a_sample_unless_they_have_ranks() -> None:
    first, second = SessionBuilder("session", "a"), SessionBuilder("session", "b")
    for at, builder in enumerate((first, second)):
        builder.begin(at * 10 * S)
        builder.stop((at * 10 + 5) * S, builder.start(at * 10 * S, "import"))
    second.end(20 * S)

    def written(names: Sequence[str], ranks: Sequence[int | None]) -> dict[tuple[str, ...], int]:
        joined = iter(zip(names, ranks, strict=True))
        events: list[Event] = []
        for event in (*first.events, *second.events):
            if event.kind == "process_joined":
                name, rank = next(joined)
                event = event.model_copy(update={"name": name, "rank": rank})
            events.append(event)
        found = samples(text_of(MemoryLedger(events)), "stage_seconds")
        return by_label(found, "process", "rank")

    assert written(["Worker", "Worker"], [None, None]) == {("Worker", ""): 10 * S}
    assert written(["Worker", "Worker"], [0, 1]) == {("Worker", "0"): 5 * S, ("Worker", "1"): 5 * S}
    assert written(["Worker", "Engine"], [None, None]) == {("Worker", ""): 5 * S, ("Engine", ""): 5 * S}


def test_each_time_that_it_became_ready_is_a_window() -> None:
    builder = SessionBuilder()
    builder.begin()
    for at_ns in (S, 3 * S):
        builder.events.append(
            MilestoneReached(
                session="session", process="process", seq=len(builder.events), at_ns=at_ns,
                name="server_ready",
            )
        )  # fmt: skip
    found = samples(text_of(MemoryLedger(builder.events)), "startup_seconds")
    assert [
        (sample.labels["window"], sample.labels["began_by"], sample.labels["ended_by"], sample.value)
        for sample in found
    ] == [("0", "event", "server_ready", 1), ("1", "server_ready", "server_ready", 2)]


def test_what_nobody_recorded_has_no_sample() -> None:
    builder = SessionBuilder()
    builder.events.append(SessionStarted(session="session", process="process", seq=0, at_ns=0))
    text = text_of(MemoryLedger(builder.events))
    assert families(text).keys() == {"session_info", "startup_seconds", "unattributed_seconds"}


def test_metrics_are_of_the_newest_session_unless_another_is_named(path: Path, tmp_path: Path) -> None:
    builders = [SessionBuilder("one"), SessionBuilder("two")]
    for number, builder in enumerate(builders):
        builder.begin(label=f"label {number}", wall_ns=(number + 1) * S)
        builder.end(5)
    _write(path, [event for builder in builders for event in builder.events])

    def of(*arguments: str) -> list[str]:
        output = tmp_path / "startup.prom"
        ran = CliRunner().invoke(
            app, ["export", str(path), "-f", "prometheus", "--force", "-o", str(output), *arguments]
        )
        assert ran.exit_code == 0, ran.output
        assert f"node_exporter --collector.textfile.directory={tmp_path}\n" in ran.stderr
        return [sample.labels["session"] for sample in samples(output.read_text(), "session_info")]

    assert of() == ["two"]
    assert of("--session", "label 0") == ["one"]
    assert of("--all") == ["one", "two"]


def test_a_file_that_the_collector_passes_over_is_noted(tmp_path: Path) -> None:
    command = MetricsExporter().open_command(tmp_path / "a.db", tmp_path / "startup.txt")
    assert command.endswith(" (after renaming it: only *.prom files are read)")


def test_while_a_file_is_written_the_collector_reads_the_old_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(path, with_names("x"))
    output = tmp_path / "metrics" / "startup.prom"
    output.parent.mkdir()
    output.write_text("old 1\n")
    seen: list[dict[str, str]] = []

    def look(samples_of: Callable[[Timeline], Iterator[object]]) -> Callable[[Timeline], Iterator[object]]:
        def found(timeline: Timeline) -> Iterator[object]:
            # What node_exporter would read now; the unfinished file has another suffix.
            seen.append({file.name: file.read_text() for file in output.parent.glob("*.prom")})
            assert len(list(output.parent.iterdir())) == 2
            return samples_of(timeline)

        return found

    watched = [metric._replace(samples=look(metric.samples)) for metric in METRICS]
    monkeypatch.setattr(module, "METRICS", watched)
    ran = CliRunner().invoke(app, ["export", str(path), "-f", "prometheus", "--force", "-o", str(output)])
    assert ran.exit_code == 0, ran.output
    assert seen == [{"startup.prom": "old 1\n"}] * len(METRICS)
    assert len(families(output.read_text())) == len(METRICS)
    assert list(output.parent.iterdir()) == [output]


class TestTextFormat:
    def test_seconds_are_exact(self) -> None:
        assert [seconds(ns) for ns in (0, 1, S, 12_345_678_901, 2**63 - 1)] == [
            "0", "0.000000001", "1", "12.345678901", "9223372036.854775807",
        ]  # fmt: skip

    def test_a_name_of_a_label_has_what_a_label_may_have(self) -> None:
        assert [label_name(text) for text in ("torch", "a-b.c", "7z", "ü")] == ["torch", "a_b_c", "_7z", "_"]

    def test_a_metric_without_samples_has_no_lines(self) -> None:
        assert metric_lines("name", "Text.", []) == ""


def _write(path: Path, events: Sequence[Event]) -> None:
    store = Store.open(path)
    with store.transaction():
        store.append(list(map(to_row, events)))
    store.close()
