"""Wraps a log in each form in which logs are sent, kept and copied: `wrap(log, form)`."""

import bz2
import csv
import gzip
import html
import io
import json
import lzma
import quopri
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from importlib import import_module

import yaml

BEGINS = datetime(2026, 5, 1, 20, 45, tzinfo=timezone.utc)


def lines_of(log: str) -> list[str]:
    return log.split("\n")[:-1] if log.endswith("\n") else log.split("\n")


def times(count: int) -> Iterator[datetime]:
    """When each line was written: a quarter of a second after the one before."""
    return (BEGINS + timedelta(milliseconds=250 * number) for number in range(count))


def iso(at: datetime, zone: str = "Z", digits: int = 9) -> str:
    fraction = f"{at.microsecond:06}000"[:digits]
    return f"{at:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if digits else "") + zone


def ns_of(at: datetime) -> int:
    return int(at.timestamp()) * 10**9 + at.microsecond * 1_000


def _each(log: str, form: Callable[[str, datetime], str], end: str = "\n") -> str:
    lines = lines_of(log)
    return "".join(form(line, at) + end for line, at in zip(lines, times(len(lines)), strict=True))


def _json_lines(log: str, record: Callable[[str, datetime], object]) -> str:
    return _each(log, lambda line, at: json.dumps(record(line, at)))


def _records(log: str, record: Callable[[str, datetime], object]) -> list[object]:
    lines = lines_of(log)
    return [record(line, at) for line, at in zip(lines, times(len(lines)), strict=True)]


KUBERNETES = {
    "pod_name": "vllm-0", "namespace_name": "llm", "container_name": "server", "host": "node-1",
    "labels": {"app": "vllm"}, "docker_id": "0f0e",
}  # fmt: skip
LABELS = {"app": "vllm", "namespace": "llm", "pod": "vllm-0", "container": "server"}


def _docker(line: str, at: datetime) -> object:
    return {"log": f"{line}\n", "stream": "stderr", "time": iso(at)}


def _docker_cut(log: str) -> str:
    """A line of more than 16 KiB comes in pieces."""
    records: list[object] = []
    for line, at in zip(lines_of(log), times(10**6), strict=False):
        text = f"{line}\n"
        records += [_docker(text[n : n + 16_384], at) for n in range(0, len(text), 16_384)]
        for record in records[-(len(text) // 16_384 + 1) :]:
            record["log"] = record["log"].removesuffix("\n")  # type: ignore[index]
        records[-1]["log"] += "\n"  # type: ignore[index]
    return "".join(json.dumps(record) + "\n" for record in records)


def _journald(line: str, at: datetime) -> object:
    message = list(line.encode()) if "\x1b" in line or not line.isascii() else line
    return {
        "MESSAGE": message, "__REALTIME_TIMESTAMP": str(ns_of(at) // 1_000), "_PID": "61", "PRIORITY": "6",
        "_SYSTEMD_UNIT": "vllm.service", "SYSLOG_IDENTIFIER": "python3", "_HOSTNAME": "gpu-1",
        "__CURSOR": "s=0", "_TRANSPORT": "stdout",
    }  # fmt: skip


def _loki_query(log: str, *, newest_first: bool = True, streams: int = 1) -> str:
    lines = _records(log, lambda line, at: [str(ns_of(at)), line])
    result = []
    for number in range(streams):
        values = lines[number::streams]
        labels = {**LABELS, "stream": ("stderr", "stdout")[number]} if streams > 1 else LABELS
        result.append({"stream": labels, "values": values[::-1] if newest_first else values})
    return json.dumps({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}})


def _gcp(line: str, at: datetime) -> object:
    return {
        "insertId": "x", "labels": {"k8s-pod/app": "vllm"}, "logName": "projects/p/logs/stderr",
        "receiveTimestamp": iso(at + timedelta(seconds=1)), "resource": {
            "labels": {"cluster_name": "c", "container_name": "server", "pod_name": "vllm-0"},
            "type": "k8s_container",
        },
        "severity": "ERROR", "textPayload": line, "timestamp": iso(at),
    }  # fmt: skip


def _cloudwatch(line: str, at: datetime) -> object:
    return {
        "logStreamName": "vllm/server/1a2b", "timestamp": ns_of(at) // 10**6, "message": line,
        "ingestionTime": ns_of(at) // 10**6 + 900, "eventId": "381",
    }  # fmt: skip


def _insights(line: str, at: datetime) -> object:
    stamp = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"
    return [
        {"field": "@timestamp", "value": stamp}, {"field": "@message", "value": line},
        {"field": "@ptr", "value": "Cm"},
    ]  # fmt: skip


def _elastic(line: str, at: datetime) -> object:
    return {"_index": "logs", "_id": "1", "_source": {
        "@timestamp": iso(at, digits=3), "message": line, "stream": "stderr", "host": {"name": "node-1"},
        "kubernetes": {"pod": {"name": "vllm-0"}, "container": {"name": "server"}, "namespace": "llm"},
    }}  # fmt: skip


def _otlp(log: str) -> str:
    records = _records(log, lambda line, at: {
        "timeUnixNano": str(ns_of(at)), "severityText": "INFO", "body": {"stringValue": line},
    })  # fmt: skip
    attributes = [{"key": "k8s.pod.name", "value": {"stringValue": "vllm-0"}}]
    return json.dumps(
        {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]}]}
    )


def _fluent_bit(line: str, at: datetime) -> object:
    return {
        "date": at.timestamp(),
        "stream": "stderr",
        "time": iso(at),
        "log": f"{line}\n",
        "kubernetes": KUBERNETES,
    }


def _fluent_stdout(line: str, at: datetime) -> str:
    record = f'{{"log"=>{json.dumps(line)}, "stream"=>"stderr"}}'
    return f"[0] kube.vllm-0: [[{ns_of(at) // 10**9}.{at.microsecond:06}000, {{}}], {record}]"


def _ipynb(log: str, *, is_list: bool = True) -> str:
    text = f"{chr(10).join(lines_of(log))}\n"
    output = {
        "name": "stderr",
        "output_type": "stream",
        "text": text.splitlines(keepends=True) if is_list else text,
    }
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": ["llm = LLM('m')"],
        "outputs": [output],
    }
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def _asciicast(log: str, version: int) -> str:
    header = {"version": version, "width": 120, "height": 40, "timestamp": int(BEGINS.timestamp())}
    events: list[list[object]] = []
    for number, line in enumerate(lines_of(log)):
        time = 0.25 * number if version == 2 else 0.25
        half = len(line) // 2
        events += [[time, "o", line[:half]], [time if version == 2 else 0.0, "o", f"{line[half:]}\r\n"]]
    return "".join(json.dumps(one) + "\n" for one in (header, *events))


def _csv(log: str, names: Sequence[str] | None, row: Callable[[str, datetime], Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if names:
        writer.writerow(names)
    writer.writerows(_records(log, row))  # type: ignore[arg-type]
    return out.getvalue()


def _syslog_stamp(at: datetime) -> str:
    return f"{at:%b} {at.day:2} {at:%H:%M:%S}"


def _cri(log: str, piece: int = 10**9) -> str:
    def form(line: str, at: datetime) -> str:
        pieces = [line[n : n + piece] for n in range(0, len(line), piece)] or [""]
        marks = ["P"] * (len(pieces) - 1) + ["F"]
        return "\n".join(f"{iso(at)} stderr {mark} {part}" for mark, part in zip(marks, pieces, strict=True))

    return _each(log, form)


def coloured(log: str, escape: str = "\x1b") -> str:
    """A log with vLLM's colours, or with what was left of them."""
    head = re.compile(r"(\([^()]*pid=\d+\))?( ?)(INFO|WARNING|ERROR|DEBUG) (\d\d-\d\d [\d:]{8}) (\[[^\]]*\])")

    def with_colours(found: re.Match[str]) -> str:
        process, between, level, stamp, place = found.groups(default="")
        blue = f"{escape}[0;36m{process}{escape}[0;0m" if process else ""
        grey, end = f"{escape}[90m", f"{escape}[0m"
        return f"{blue}{between}{escape}[32m{level}{end} {grey}{stamp}{end} {grey}{place}{end}"

    return head.sub(with_colours, log)


def _html_page(log: str) -> str:
    body = html.escape("\n".join(lines_of(log)))
    head = "<head><title>log</title><style>p {}</style></head>"
    return f"<!DOCTYPE html>\n<html>{head}<body><pre>\n{body}\n</pre></body></html>\n"


def _html_spans(log: str) -> str:
    return _each(log, lambda line, at: f'<span class="line">{html.escape(line)}</span><br/>')


def hard_wrapped(log: str, width: int = 80) -> str:
    lines = [line[n : n + width] for line in lines_of(log) for n in range(0, max(1, len(line)), width)]
    return "\n".join(lines) + "\n"


TEXTS: dict[str, Callable[[str], str]] = {
    "docker-json": lambda log: _json_lines(log, _docker),
    "docker-json-cut": _docker_cut,
    "docker-timestamps": lambda log: _each(log, lambda line, at: f"{iso(at)} {line}"),
    "journald-json": lambda log: _json_lines(log, _journald),
    "journald-json-pretty": lambda log: "".join(
        json.dumps(one, indent="\t") + "\n" for one in _records(log, _journald)
    ),
    "journald-json-sse": lambda log: _each(
        log, lambda line, at: f"data: {json.dumps(_journald(line, at))}\n"
    ),
    "journald-short": lambda log: (
        "-- Journal begins at Fri 2026-05-01 20:00:00 UTC. --\n"
        + _each(log, lambda line, at: f"{_syslog_stamp(at)} gpu-1 vllm[61]: {line}")
    ),
    "journald-short-precise": lambda log: _each(
        log, lambda line, at: f"{_syslog_stamp(at)}.{at.microsecond:06} gpu-1 vllm[61]: {line}"
    ),
    "journald-short-iso": lambda log: _each(
        log, lambda line, at: f"{iso(at, '+0000', 0)} gpu-1 vllm[61]: {line}"
    ),
    "journald-short-full": lambda log: _each(
        log, lambda line, at: f"{at:%a %Y-%m-%d %H:%M:%S} UTC gpu-1 vllm[61]: {line}"
    ),
    "journald-export": lambda log: _each(
        log,
        lambda line, at: (
            f"__CURSOR=s=0\n__REALTIME_TIMESTAMP={ns_of(at) // 1000}\n_HOSTNAME=gpu-1\n"
            f"_SYSTEMD_UNIT=vllm.service\nMESSAGE={line}\n"
        ),
    ),
    "journald-verbose": lambda log: _each(
        log,
        lambda line, at: (
            f"{at:%a %Y-%m-%d %H:%M:%S}.{at.microsecond:06} UTC [s=0;i=1]\n    PRIORITY=6\n"
            f"    _SYSTEMD_UNIT=vllm.service\n    MESSAGE={line}"
        ),
    ),
    "syslog-5424": lambda log: _each(
        log, lambda line, at: f"<14>1 {iso(at, digits=6)} gpu-1 vllm 61 - - {line}"
    ),
    "loki-jsonl": lambda log: _json_lines(
        log, lambda line, at: {"labels": LABELS, "line": line, "timestamp": iso(at)}
    ),
    "loki-text": lambda log: _each(
        log, lambda line, at: f'{iso(at, digits=0)} {{app="vllm", container="server", pod="vllm-0"}} {line}'
    ),
    "loki-query": _loki_query,
    "loki-query-forward": lambda log: _loki_query(log, newest_first=False),
    "loki-query-of-streams": lambda log: _loki_query(log, streams=2),
    "grafana-json": lambda log: json.dumps(
        _records(
            log,
            lambda line, at: {
                "line": line,
                "timestamp": str(ns_of(at)),
                "date": iso(at, digits=3),
                "fields": LABELS,
            },
        ),
        indent=2,
    ),
    "grafana-text": lambda log: (
        "Common labels: {}\n"
        + _each(log, lambda line, at: f"{ns_of(at) // 10**6}\t{iso(at, digits=3)}\t{line}")
    ),
    "epoch": lambda log: _each(log, lambda line, at: f"{ns_of(at) // 10**9}.{at.microsecond:06} {line}"),
    "kaggle": lambda log: json.dumps(
        [{"stream_name": "stderr", "time": 3.5, "data": f"{line}\n"} for line in lines_of(log)]
    ),
    "cloudwatch-text": lambda log: _each(
        log, lambda line, at: f"EVENTS\t{ns_of(at) // 10**6 + 900}\t{line}\t{ns_of(at) // 10**6}"
    ),
    "cloudwatch-json": lambda log: json.dumps(
        {"events": _records(log, _cloudwatch), "searchedLogStreams": []}, indent=4
    ),
    "cloudwatch-get": lambda log: json.dumps(
        {
            "events": _records(
                log,
                lambda line, at: {
                    "timestamp": ns_of(at) // 10**6,
                    "message": line,
                    "ingestionTime": ns_of(at) // 10**6,
                },
            ),
            "nextForwardToken": "f/1",
        },
        indent=4,
    ),
    "cloudwatch-insights": lambda log: json.dumps(
        {"results": _records(log, _insights)[::-1], "status": "Complete"}, indent=4
    ),
    "cloudwatch-tail": lambda log: _each(
        log, lambda line, at: f"{iso(at, '+00:00', 6)} vllm/server/1a2b3c {line}"
    ),
    "gcp-json": lambda log: json.dumps(_records(log, _gcp)[::-1], indent=2),
    "gcp-yaml": lambda log: "".join(
        f"---\n{yaml.safe_dump(one, allow_unicode=True)}" for one in _records(log, _gcp)[::-1]
    ),
    "gcp-json-lines": lambda log: _json_lines(log, _gcp),
    "elastic": lambda log: json.dumps({"took": 5, "hits": {"hits": _records(log, _elastic)}}),
    "datadog": lambda log: json.dumps(
        {
            "data": _records(
                log,
                lambda line, at: {
                    "id": "1",
                    "attributes": {
                        "message": line,
                        "timestamp": iso(at, digits=3),
                        "service": "vllm",
                        "host": "h",
                        "status": "info",
                    },
                },
            )
        }
    ),
    "otlp": _otlp,
    "azure": lambda log: _json_lines(
        log,
        lambda line, at: {
            "TimeGenerated": iso(at, digits=3),
            "LogMessage": line,
            "PodName": "vllm-0",
            "ContainerName": "server",
        },
    ),
    "splunk": lambda log: _json_lines(
        log,
        lambda line, at: {
            "preview": False,
            "result": {"_raw": line, "_time": iso(at, "+00:00", 3), "host": "gpu-1"},
        },
    ),
    "fluent-bit": lambda log: _json_lines(log, _fluent_bit),
    "fluent-bit-array": lambda log: json.dumps(
        _records(log, lambda line, at: [at.timestamp(), {"log": line}])
    ),
    "fluent-bit-stdout": lambda log: _each(log, _fluent_stdout),
    "fluentd-file": lambda log: _each(
        log,
        lambda line, at: (
            f"{iso(at, '+00:00', 0)}\tdocker.vllm\t" + json.dumps({"log": line, "source": "stderr"})
        ),
    ),
    "cri": _cri,
    "cri-partial": lambda log: _cri(log, 60),
    "compose": lambda log: _each(log, lambda line, at: f"vllm-1  | {line}"),
    "compose-attached": lambda log: (
        "Attaching to vllm-1\n" + _each(log, lambda line, at: f"vllm-1  | {line}")
    ),
    "compose-coloured": lambda log: _each(log, lambda line, at: f"\x1b[36mvllm-1  | \x1b[0m{line}"),
    "compose-timestamps": lambda log: _each(log, lambda line, at: f"vllm-1  | {iso(at)} {line}"),
    "kubectl-prefix": lambda log: _each(log, lambda line, at: f"[pod/vllm-0/server] {line}"),
    "kubectl-prefix-timestamps": lambda log: _each(
        log, lambda line, at: f"[pod/vllm-0/server] {iso(at)} {line}"
    ),
    "stern": lambda log: (
        "+ vllm-7d9c5b8f4-x2x7k \u203a server\n"
        + _each(log, lambda line, at: f"vllm-7d9c5b8f4-x2x7k server {line}")
    ),
    "github": lambda log: "\ufeff" + _each(log, lambda line, at: f"{iso(at, digits=7)} {line}"),
    "github-cli": lambda log: _each(log, lambda line, at: f"test\tRun vLLM\t{iso(at, digits=7)} {line}"),
    "gitlab": lambda log: _each(log, lambda line, at: f"{iso(at, digits=6)} 01O {line}"),
    "buildkite": lambda log: _each(log, lambda line, at: f"\x1b_bk;t={ns_of(at) // 10**6}\x07{line}"),
    "buildkite-lost": lambda log: _each(log, lambda line, at: f"_bk;t={ns_of(at) // 10**6}{line}"),
    "jenkins": lambda log: _each(log, lambda line, at: f"[{iso(at, digits=3)}] {line}"),
    "notebook": _ipynb,
    "notebook-text": lambda log: _ipynb(log, is_list=False),
    "asciicast-2": lambda log: _asciicast(log, 2),
    "asciicast-3": lambda log: _asciicast(log, 3),
    "html-page": _html_page,
    "html-spans": _html_spans,
    "markdown-fence": lambda log: f"# It is slow\n\nSee below:\n\n```text\n{log}```\n\nAny ideas?\n",
    "markdown-quote": lambda log: _each(log, lambda line, at: f"> {line}"),
    "markdown-quoted-fence": lambda log: _each(f"```\n{log}```\n", lambda line, at: f"> {line}"),
    "entities": html.escape,
    "csv-named": lambda log: _csv(
        log, ("timestamp", "message"), lambda line, at: (str(ns_of(at) // 10**6), line)
    ),
    "csv-datadog": lambda log: _csv(
        log,
        ("Date", "Host", "Service", "Content"),
        lambda line, at: (iso(at, digits=3), "gpu-1", "vllm", line),
    ),
    "csv-kibana": lambda log: _csv(
        log,
        ("@timestamp", "message"),
        lambda line, at: (
            f"{at:%b} {at.day}, {at.year} @ {at:%H:%M:%S}.{at.microsecond // 1000:03}",
            line,
        ),
    ),
    "csv-unnamed": lambda log: _csv(log, None, lambda line, at: (iso(at), line)),
    "quoted-printable": lambda log: quopri.encodestring(log.encode()).decode(),
    "cat-a": lambda log: _each(log, lambda line, at: f"{line}$"),
    "tail": lambda log: f"==> vllm.log <==\n{log}",
    "stern-json": lambda log: _json_lines(
        log,
        lambda line, at: {
            "message": json.loads(line) if line.startswith('{"asctime"') else line,
            "nodeName": "n",
            "namespace": "llm",
            "podName": "vllm-0",
            "containerName": "server",
        },
    ),
    "crlf-docker": lambda log: _json_lines(log, _docker).replace("\n", "\r\n"),
    "broken-at-80-crlf": lambda log: hard_wrapped(log).replace("\n", "\r\n"),
    "python-list": lambda log: repr(lines_of(log)) + "\n",
    "python-strings": lambda log: _each(log, lambda line, at: f" {line!r},"),
    "json-list": lambda log: json.dumps(lines_of(log), indent=1),
    "nbsp": lambda log: log.replace(" ", "\u00a0"),
    "colours": coloured,
    "colours-lost": lambda log: coloured(log, ""),
    "colours-caret": lambda log: coloured(log, "^["),
    "broken-at-80": hard_wrapped,
    "broken-at-120": lambda log: hard_wrapped(log, 120),
    "newest-first": lambda log: "\n".join(lines_of(log)[::-1]) + "\n",
    "crlf": lambda log: log.replace("\n", "\r\n"),
}
"""Forms of text."""


def _zstd(content: bytes) -> bytes:
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd").compress(
        content
    )


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logs/vllm.log", content)
    return out.getvalue()


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip-members": lambda content: gzip.compress(content[:999]) + gzip.compress(content[999:]),
    "zstd": _zstd,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": _zip,
    "utf-16": lambda content: content.decode().encode("utf-16"),
    "utf-16-le": lambda content: content.decode().encode("utf-16-le"),
    "utf-16-be": lambda content: b"\xfe\xff" + content.decode().encode("utf-16-be"),
    "utf-8-mark": lambda content: b"\xef\xbb\xbf" + content,
    "gzip-of-utf-16": lambda content: gzip.compress(content.decode().encode("utf-16")),
}
"""Forms of bytes."""

FORMS = (*TEXTS, *BYTES)

_STORES = (
    "docker",
    "loki",
    "grafana",
    "cloudwatch",
    "gcp",
    "fluent",
    "cri",
    "github",
    "buildkite",
    "asciicast",
)
STAMPED = frozenset(form for form in TEXTS if form.startswith(_STORES)) | {
    "journald-export", "journald-verbose", "grafana-text", "epoch", "crlf-docker",
    "journald-json", "journald-json-pretty", "journald-json-sse", "journald-short-iso", "journald-short-full",
    "syslog-5424", "elastic", "datadog", "otlp", "azure", "splunk", "compose-timestamps",
    "kubectl-prefix-timestamps", "gitlab", "jenkins", "csv-named", "csv-datadog", "csv-unnamed",
}  # fmt: skip
"""The forms whose stamps have a zone."""


def wrap(log: str, form: str) -> bytes:
    """Return a log in one of the forms."""
    return TEXTS[form](log).encode() if form in TEXTS else BYTES[form](log.encode())


def interleaved(logs: dict[str, str], prefix: str = "{name}  | ") -> str:
    """Return the logs of several services in one, line by line as far as each has any."""
    each = {name: lines_of(log) for name, log in logs.items()}
    return "".join(
        f"{prefix.format(name=name)}{lines[number]}\n"
        for number in range(max(map(len, each.values())))
        for name, lines in each.items()
        if number < len(lines)
    )
