"""The contract of every installed exporter, whoever wrote it. A new format needs one row in `READERS`."""

import csv
import importlib.metadata
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from ledger import Ledger, LedgerError, StageStarted, UnknownSession, parse_event
from ledger.adapters import schema
from ledger.cli import app
from ledger.interchange.exporters import ENTRY_POINTS, export, exporter_of, formats
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.paths import ROOT

SESSION, HOST, FOLDER = "start", "gpu-node-17.example.org", "/home/somebody/models"
STAGES = {"engine_init", "torch_compile", "dynamo"}


def of_jsonl(written: bytes) -> set[str]:
    *lines, _end_mark = written.splitlines()
    events = [parse_event(line) for line in lines]
    return {event.stage for event in events if isinstance(event, StageStarted)}


def of_chrome(written: bytes) -> set[str]:
    return {event["name"] for event in json.loads(written)["traceEvents"] if event["ph"] in "BX"}


def of_perfetto(written: bytes) -> set[str]:
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    trace = Trace.FromString(written)
    interned = {name.name for packet in trace.packet for name in packet.interned_data.event_names}
    return interned | {packet.track_event.name for packet in trace.packet}


def of_datasette(written: bytes) -> set[str]:
    [database] = json.loads(written)["databases"].values()
    return set(database["tables"])


def of_prometheus(written: bytes) -> set[str]:
    from prometheus_client.parser import text_string_to_metric_families

    metrics = text_string_to_metric_families(written.decode())
    return {sample.labels.get("stage", "") for metric in metrics for sample in metric.samples}


def of_csv(written: bytes) -> set[str]:
    [intervals] = [text for name, text in unpacked(written).items() if name == "intervals.csv"]
    return {row["stage"] for row in csv.DictReader(io.StringIO(intervals.decode(), newline=""))}


def of_otlp(written: bytes) -> set[str]:
    requests = [json.loads(line) for line in written.splitlines()]
    of_resources = [each for request in requests for each in request["resourceSpans"]]
    scopes = [each for of_resource in of_resources for each in of_resource["scopeSpans"]]
    return {span["name"] for scope in scopes for span in scope["spans"]}


def of_pytorch_benchmark(written: bytes) -> set[str]:
    return {record["metric"]["name"] for record in json.loads(written)}


def unpacked(written: bytes) -> dict[str, bytes]:
    with ZipFile(io.BytesIO(written)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def plain(written: bytes) -> bytes:
    """Return what was written as whoever reads it sees it."""
    return b"".join(unpacked(written).values()) if written.startswith(b"PK") else written


READERS: dict[str, tuple[Callable[[bytes], set[str]], set[str]]] = {
    "jsonl": (of_jsonl, STAGES),
    "chrome": (of_chrome, STAGES),
    "perfetto": (of_perfetto, STAGES),
    "datasette": (of_datasette, set(schema())),
    "prometheus": (of_prometheus, STAGES),
    "csv": (of_csv, STAGES),
    "otlp": (of_otlp, STAGES | {"startup", "claim"}),
    "pytorch-benchmark": (of_pytorch_benchmark, {"encoder_compile_s", "whole_process_startup_s"}),
}
"""For each format, what reads it back, and the names that it must find there."""


EVERY = pytest.mark.parametrize("name", formats())


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """A ledger of one session, whose events have a host and a path: in the label, and elsewhere."""
    builder = SessionBuilder(SESSION)
    builder.begin(host=HOST, label=f"{FOLDER} on {HOST}")
    outer = builder.start(10, "engine_init")
    compiled = builder.start(20, "torch_compile", role="encoder")
    builder.stop(40, builder.start(30, "dynamo"))
    builder.stop(50, compiled)
    builder.claim(55, 30, source="monitor", role="encoder", text=f"compiled {FOLDER}/x.py in 30 ns")
    builder.stop(60, outer)
    builder.end(70)
    with MemoryLedger(builder.events) as opened:
        yield opened


def written(ledger: Ledger, name: str, *, redact: bool = False) -> bytes:
    chunks = list(export(ledger, [SESSION], exporter_of(name), redact=redact))
    assert {type(chunk) for chunk in chunks} == {bytes}
    return b"".join(chunks)


def test_every_installed_format_is_read_back_here() -> None:
    assert set(READERS) == set(formats())
    assert {entry.name for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)} < set(formats())


@EVERY
def test_it_has_what_the_protocol_asks_for(name: str, tmp_path: Path) -> None:
    exporter = exporter_of(name)
    assert isinstance(exporter.is_text, bool)
    assert isinstance(exporter.can_redact, bool)
    command = exporter.open_command(tmp_path / "a.db", tmp_path / "written")
    assert command.strip() == command != ""
    assert "\n" not in command


@EVERY
def test_what_is_written_can_be_read_back(ledger: Ledger, name: str) -> None:
    read, expected = READERS[name]
    content = written(ledger, name)
    assert expected <= read(content)
    if exporter_of(name).is_text:
        assert "\0" not in content.decode()


@EVERY
def test_the_same_session_gives_the_same_bytes(ledger: Ledger, name: str) -> None:
    assert written(ledger, name) == written(ledger, name)


@EVERY
def test_redacted_neither_host_nor_path_is_left(ledger: Ledger, name: str) -> None:
    secrets = [HOST.encode(), FOLDER.encode()]
    if not exporter_of(name).can_redact:
        # It contains nothing that was recorded, and refuses to redact.
        assert not any(secret in plain(written(ledger, name)) for secret in secrets)
        with pytest.raises(LedgerError, match="can't be redacted"):
            written(ledger, name, redact=True)
        return
    assert all(secret in plain(written(ledger, name)) for secret in secrets)
    redacted = written(ledger, name, redact=True)
    assert not any(secret in plain(redacted) for secret in secrets)
    read, expected = READERS[name]
    assert expected <= read(redacted)


@EVERY
def test_a_session_that_is_not_there_is_refused(ledger: Ledger, name: str) -> None:
    exporter = exporter_of(name)
    if exporter.can_redact:
        with pytest.raises(UnknownSession):
            list(exporter.chunks(ledger, ["missing"]))


@EVERY
def test_it_is_documented(name: str) -> None:
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    assert re.search(rf"\b{name}\b", shown)
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert any(re.search(rf"`{name}`|--format\s+{name}\b", file.read_text()) for file in documents)


def test_an_unknown_format_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(LedgerError) as raised:
        exporter_of("pdf")
    assert all(name in str(raised.value) for name in formats())
