"""Sessions as spans: a receiver that reads OpenTelemetry's own messages finds what the ledger says."""

import base64
import json
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from typer.testing import CliRunner

from ledger import Event, Ledger, LedgerError, StageStarted, Timeline, parse_event
from ledger.adapters import claim_intervals
from ledger.cli import app
from ledger.interchange.exporters import export, exporter_of, is_endpoint, send
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.otlp_receiver import Receiver, receiver, spans_of
from tests.support.paths import DATA
from tests.support.random_sessions import sessions
from tests.support.small_ledgers import write_sessions

OWN = "compile_ledger."
WALL_NS = 1_800_000_000 * 10**9


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def kept(name: str) -> list[Event]:
    return list(map(parse_event, (DATA / f"{name}.jsonl").read_bytes().splitlines()))


@pytest.fixture(scope="module")
def vllm() -> Iterator[Ledger]:
    with MemoryLedger(kept("vllm")) as opened:
        yield opened


def lines(ledger: Ledger, *sessions: str) -> bytes:
    return b"".join(export(ledger, sessions or ledger.sessions(), exporter_of("otlp")))


def from_lines(written: bytes) -> list[ExportTraceServiceRequest]:
    """Read OTLP's JSON, in which ids are hexadecimal, as protobuf, whose own JSON has them in base 64."""

    def as_protobuf(node: object) -> object:
        if isinstance(node, list):
            return [as_protobuf(one) for one in node]
        if isinstance(node, dict):
            return {
                key: base64.b64encode(bytes.fromhex(value)).decode()
                if key in ("traceId", "spanId", "parentSpanId")
                else as_protobuf(value)
                for key, value in node.items()
            }
        return node

    return [
        ParseDict(as_protobuf(json.loads(line)), ExportTraceServiceRequest()) for line in written.splitlines()
    ]


def value(held: AnyValue) -> object:
    if held.WhichOneof("value") == "array_value":
        return [value(one) for one in held.array_value.values]
    return getattr(held, str(held.WhichOneof("value")))


def attributes(of: Span | Resource | Span.Event) -> dict[str, object]:
    pairs: list[KeyValue] = list(of.attributes)
    assert len({pair.key for pair in pairs}) == len(pairs)
    return {pair.key: value(pair.value) for pair in pairs}


def spans(ledger: Ledger, *sessions: str) -> list[tuple[Resource, Span]]:
    return list(spans_of(from_lines(lines(ledger, *sessions))))


def by_interval(found: list[tuple[Resource, Span]]) -> dict[tuple[object, object], Span]:
    return {
        (attributes(resource)[f"{OWN}process"], attributes(span)[f"{OWN}interval"]): span
        for resource, span in found
        if f"{OWN}interval" in attributes(span)
    }


def check_structure(timeline: Timeline, found: list[tuple[Resource, Span]]) -> None:
    """Check that there is a span for everything, each under the one around it, and none twice."""
    ids = [span.span_id for _, span in found]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {8}
    assert len({span.trace_id for _, span in found}) == 1
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for _, span in found)
    root, *others = [span for _, span in found]
    assert (root.name, root.parent_span_id) == ("startup", b"")
    seen = {root.span_id}
    for span in others:
        # Those around others come first, so a reader never meets a parent that it does not know.
        if f"{OWN}interval" not in attributes(span):
            assert span.parent_span_id in seen
        seen.add(span.span_id)
    assert {span.parent_span_id for span in others} <= seen
    intervals = by_interval(found)
    assert set(intervals) == {(one.process, one.interval) for one in timeline.intervals}
    for one in timeline.intervals:
        span = intervals[one.process, one.interval]
        assert span.name == one.stage
        if one.enclosing is not None:
            assert span.parent_span_id == intervals[one.process, one.enclosing].span_id
        if one.duration_ns is not None:
            assert span.end_time_unix_nano - span.start_time_unix_nano == one.duration_ns
    assert len(found) == 1 + len(timeline.processes) + len(timeline.intervals) + len(timeline.claims)


@pytest.mark.parametrize("name", ["demo", "vllm", "compilations"])
def test_there_is_a_span_for_everything_under_the_one_around_it(name: str) -> None:
    with MemoryLedger(kept(name)) as ledger:
        for session in ledger.sessions():
            check_structure(ledger.timeline(session), spans(ledger, session))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sessions())
def test_so_it_is_for_any_session_and_both_encodings_agree(events: list[Event]) -> None:
    if not events:
        return
    with MemoryLedger(events) as ledger:
        session = events[0].session
        if not ledger.sql("SELECT 1 FROM events WHERE wall_ns IS NOT NULL"):
            with pytest.raises(LedgerError, match="wall clock"):
                lines(ledger, session)
            return
        written = lines(ledger, session)
        found = list(spans_of(from_lines(written)))
        check_structure(ledger.timeline(session), found)
        with receiver() as running:
            list(send(ledger, [session], exporter_of("otlp"), running.address))
        assert running.requests == from_lines(written)


def test_the_root_is_the_time_from_the_command_to_ready(vllm: Ledger) -> None:
    for session in vllm.sessions():
        _, root = spans(vllm, session)[0]
        [window] = vllm.timeline(session).startup_windows
        assert root.end_time_unix_nano - root.start_time_unix_nano == window.duration_ns
        told = attributes(root)
        assert told[f"{OWN}time_to_ready_ns"] == window.duration_ns
        assert told[f"{OWN}unattributed_ns"] == window.unattributed_ns
        [row] = vllm.sql(
            "SELECT min(wall_ns) AS wall_ns FROM events WHERE session = ? AND kind = 'milestone_reached'",
            [session],
        )
        assert abs(root.start_time_unix_nano - int(str(row["wall_ns"]))) < 10**6
        assert [event.name for event in root.events] == [window.ended_by]


def test_resources_follow_the_conventions(vllm: Ledger) -> None:
    session = vllm.sessions()[0]
    timeline = vllm.timeline(session)
    found = spans(vllm, session)
    root = attributes(found[0][0])
    assert root["service.name"] == "vllm cold"
    assert (root["telemetry.sdk.name"], root["telemetry.sdk.language"]) == ("opentelemetry", "python")
    assert root["telemetry.distro.name"] == "compile-ledger"
    assert timeline.session is not None
    assert root["process.command_args"] == list(timeline.session.command or ())
    of_process = {attributes(one)["service.instance.id"]: attributes(one) for one, _ in found[1:]}
    assert set(of_process) == {process.process for process in timeline.processes}
    for process in timeline.processes:
        told = of_process[process.process]
        assert (told["process.pid"], told["host.name"]) == (process.pid, process.host)


def test_the_service_is_named_as_everywhere_else(vllm: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "chat")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    told = attributes(spans(vllm, vllm.sessions()[0])[0][0])
    assert (told["service.name"], told["deployment.environment.name"]) == ("chat", "staging")


def test_a_claim_leads_to_the_intervals_that_it_speaks_of(vllm: Ledger) -> None:
    session = vllm.sessions()[0]
    timeline = vllm.timeline(session)
    found = spans(vllm, session)
    intervals = by_interval(found)
    claims = {
        (attributes(resource)[f"{OWN}process"], attributes(span)[f"{OWN}claim"]): span
        for resource, span in found
        if span.name == "claim"
    }
    differences = {(one.process, one.claim): one for one in timeline.reconciliation}
    assert any(claim_intervals(timeline))
    for claim, about in zip(timeline.claims, claim_intervals(timeline), strict=True):
        span = claims[claim.process, claim.claim]
        assert [link.span_id for link in span.links] == [intervals[tuple(key)].span_id for key in about]
        assert {link.trace_id for link in span.links} <= {span.trace_id}
        assert span.start_time_unix_nano == span.end_time_unix_nano
        told, difference = attributes(span), differences[claim.process, claim.claim]
        assert told[f"{OWN}claimed_ns"] == claim.claimed_ns
        assert told.get(f"{OWN}difference_ns") == difference.difference_ns


def a_start(wall_ns: int = WALL_NS) -> SessionBuilder:
    builder = SessionBuilder("start")
    builder.begin(label="nightly", wall_ns=wall_ns)
    return builder


def test_failed_stages_are_errors_and_what_has_no_end_is_a_lower_bound() -> None:
    builder = a_start()
    failed = builder.start(10, "aot_load")
    builder.stop(20, failed, "failed", "FileNotFoundError")
    builder.stop(40, builder.start(30, "dynamo"))
    opened = builder.start(50, "warmup")
    builder.milestone(70, "engine_ready")
    with MemoryLedger(builder.events) as ledger:
        found = {span.name: span for _, span in spans(ledger)}
        process = next(span for _, span in spans(ledger) if span.events and span.name != "startup")
    assert found["aot_load"].status.code == Status.STATUS_CODE_ERROR
    assert attributes(found["aot_load"])["error.type"] == "FileNotFoundError"
    assert found["dynamo"].status.code == Status.STATUS_CODE_UNSET
    assert attributes(found["warmup"])[f"{OWN}is_lower_bound"] is True
    assert attributes(found["warmup"])[f"{OWN}interval"] == opened
    assert found["warmup"].start_time_unix_nano == WALL_NS + 50
    assert found["warmup"].end_time_unix_nano == WALL_NS + 70
    assert f"{OWN}is_lower_bound" not in attributes(found["dynamo"])
    assert [(event.name, event.time_unix_nano) for event in process.events] == [
        ("engine_ready", WALL_NS + 70)
    ]


def test_hosts_with_clocks_of_their_own_are_laid_on_one_with_the_uncertainty_stated() -> None:
    """The second host's clock reads 5,000 s more, and its two processes read the wall clock 3 ms apart."""
    builders = []
    for name, host, ahead_ns, error_ns in (
        ("p1", "node1", 0, 0),
        ("p2", "node2", 5_000 * 10**9, 0),
        ("p3", "node2", 5_000 * 10**9, 3_000_000),
    ):
        builder = SessionBuilder("start", name)
        builder.begin(ahead_ns, host=host, wall_ns=WALL_NS + error_ns)
        builder.stop(ahead_ns + 10**9, builder.start(ahead_ns + 10**6, "torch_compile", role="encoder"))
        builders.append(builder)
    events = [event for builder in builders for event in builder.events]
    with MemoryLedger([event for event in events if event.kind != "session_started"]) as ledger:
        found = spans(ledger)
    compiles = {
        attributes(resource)["host.name"]: span for resource, span in found if span.name == "torch_compile"
    }
    assert {span.start_time_unix_nano for span in compiles.values()} == {WALL_NS + 10**6}
    assert {attributes(span)[f"{OWN}clock_uncertainty_ns"] for span in compiles.values()} == {3_000_000}


def test_a_session_without_a_time_on_the_wall_is_refused() -> None:
    builder = SessionBuilder("log")
    builder.stop(20, builder.start(10, "torch_compile"))
    with MemoryLedger(builder.events) as ledger, pytest.raises(LedgerError, match="wall clock"):
        lines(ledger)


def test_texts_and_numbers_that_protobuf_does_not_hold(collector: Receiver) -> None:
    hostile: Mapping[str, object] = {
        "large": 2**70, "nul": "\0", "nested": {"a": [1, None]}, "none": None, "": "empty",
        "yes": True, "ratio": 0.5,
    }  # fmt: skip
    builder = a_start()
    builder.stop(20, builder.start(10, "st\0age"))
    builder.events[:] = [
        event.model_copy(update={"data": hostile}) if isinstance(event, StageStarted) else event
        for event in builder.events
    ]
    with MemoryLedger(builder.events) as ledger:
        list(send(ledger, ["start"], exporter_of("otlp"), collector.address))
        assert collector.requests == from_lines(lines(ledger))
    [told] = [attributes(span) for _, span in collector.spans() if f"{OWN}interval" in attributes(span)]
    data = {name.removeprefix(f"{OWN}data."): each for name, each in told.items() if ".data." in name}
    assert data == {
        "large": str(2**70), "nul": "\0", "nested": '{"a": [1, null]}', "": "empty",
        "yes": True, "ratio": 0.5,
    }  # fmt: skip


def test_sent_twice_it_is_the_same_spans(vllm: Ledger, collector: Receiver) -> None:
    sessions = vllm.sessions()
    for _ in range(2):
        sent = sum(send(vllm, sessions, exporter_of("otlp"), collector.address))
    half = len(collector.requests) // 2
    assert collector.requests[:half] == collector.requests[half:]
    assert sent * 2 == len(collector.spans())
    assert len({span.trace_id for _, span in collector.spans()}) == len(sessions)
    assert max(len(list(spans_of([request]))) for request in collector.requests) == 512


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    builder = a_start()
    builder.stop(20, builder.start(10, "torch_compile"))
    builder.end(30)
    return write_sessions(tmp_path / "startup.db", builder)


def run(ledger: Path, output: str, *options: str, **variables: str) -> str:
    """Return what the command says, or its error."""
    arguments = ["export", str(ledger), "--format", "otlp", *options, "-o", output]
    result = CliRunner().invoke(app, arguments, env=variables)
    assert result.exception is None or isinstance(result.exception, LedgerError)
    said = result.stderr if result.exception is None else str(result.exception)
    assert "\n" not in said.rstrip("\n")
    return said


def test_the_command_sends_to_an_endpoint(ledger_file: Path, collector: Receiver) -> None:
    for base in (collector.address, f"{collector.address}/", f"{collector.address}/v1/traces"):
        assert run(ledger_file, base) == "sent 1 session\n"
    assert [span.name for _, span in collector.spans()] == ["startup", "process", "torch_compile"] * 3


def test_its_settings_are_those_of_opentelemetry(ledger_file: Path, collector: Receiver) -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
    assert run(ledger_file, collector.address, **variables) == "sent 1 session\n"
    [headers] = collector.headers
    assert (headers["x-tenant"], headers["Content-Encoding"]) == ("a", "gzip")
    assert len(collector.spans()) == 3


def test_a_busy_endpoint_is_asked_again(ledger_file: Path, collector: Receiver) -> None:
    collector.refusals.append(503)
    assert run(ledger_file, collector.address) == "sent 1 session\n"
    assert len(collector.requests) == 1


def test_an_endpoint_that_refuses_is_one_line(ledger_file: Path, collector: Receiver) -> None:
    collector.refusals.append(401)
    said = run(ledger_file, collector.address.replace("//", "//user:secret@"))
    assert said.startswith(f"{collector.address}/v1/traces: spans were not taken")
    assert "401" in said


def test_an_endpoint_that_is_not_there_is_one_line(ledger_file: Path, collector: Receiver) -> None:
    assert "refused" in run(ledger_file, "http://127.0.0.1:1", OTEL_EXPORTER_OTLP_TIMEOUT="1.5")
    assert run(ledger_file, "http://") == "http://: is no address; write http://HOST:4318"


def test_spans_that_a_collector_takes_and_throws_away_are_said(
    ledger_file: Path, collector: Receiver
) -> None:
    collector.rejected.partial_success.rejected_spans = 2
    collector.rejected.partial_success.error_message = "too old"
    assert "rejected 2 spans: too old" in run(ledger_file, collector.address)


def test_a_format_that_is_only_written_is_not_sent(ledger_file: Path, collector: Receiver) -> None:
    assert "use --format otlp" in run(ledger_file, collector.address, "--format", "prometheus")
    assert not is_endpoint("startup.jsonl")


def test_redacted_spans_have_no_host(ledger_file: Path, collector: Receiver) -> None:
    run(ledger_file, collector.address, "--redact")
    [told] = {str(attributes(resource).get("host.name")) for resource, _ in collector.spans()} - {"None"}
    assert told.startswith("<")


def test_memory_does_not_grow_with_the_intervals(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        builder = a_start()
        for number in range(count):
            builder.stop(2 * number + 2, builder.start(2 * number + 1, "dynamo"))
        with Ledger.open(write_sessions(tmp_path / f"{count}.db", builder)) as ledger:
            tracemalloc.start()
            for _ in export(ledger, ["start"], exporter_of("otlp")):
                pass
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return most

    peak(10)  # what is loaded once
    assert peak(6_000) < 1.5 * peak(1_500)
