"""Finds a log's line, its stamp and its service in a record, by the names that log stores give them.

A new store mostly needs names here alone.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

from ledger.adapters import LogLine, normal_stamp

_TEXTS: Final = (
    "log", "MESSAGE", "@message", "textPayload", "_raw", "LogMessage", "LogEntry", "Log", "line", "LogLine",
    "message", "Message", "msg", "body", "Body", "content", "Content", "stringValue",
    "data",
)  # fmt: skip
"""The line: json-file and Fluent Bit, journald, CloudWatch, GCP, Splunk, Azure, Loki, Elastic, …"""
_SURE: Final = ("stream", "stream_name", *_TEXTS[: _TEXTS.index("line")])
"""With these a record needs neither stamp nor service."""
_STAMPS: Final = (
    "time", "__REALTIME_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP", "@timestamp", "timestamp", "Timestamp",
    "timeUnixNano", "observedTimeUnixNano", "TimeGenerated", "_time", "date", "Date", "Time", "ts",
    "datetime", "receiveTimestamp", "tsNs", "timestamp_ns",
)  # fmt: skip
_SERVICES: Final = (
    ("_HOSTNAME",),
    ("logGroupName", "logGroup", "@log"),
    ("namespace_name", "namespace", "namespaceName", "PodNamespace", "k8s.namespace.name"),
    ("pod_name", "pod", "podName", "PodName", "podname", "k8s.pod.name", "instance_id", "instance"),
    (
        "container_name", "container", "containerName", "ContainerName", "CONTAINER_NAME",
        "k8s.container.name", "compose_service", "logStreamName", "logStream", "@logStream", "_SYSTEMD_UNIT",
        "_SYSTEMD_USER_UNIT",
    ),
    ("service", "service_name", "Service", "service.name", "job", "app", "unit", "tag"),
)  # fmt: skip
"""A service's name has one of each group; the last group counts where the two before it have none."""
_WEAK: Final = (
    "SYSLOG_IDENTIFIER",
    "container_id",
    "ContainerId",
    "ContainerID",
    "_CONTAINER_ID",
    "host",
    "Host",
)
"""Name a service where nothing else does."""
_LABELS: Final = (
    "kubernetes", "labels", "stream", "resource", "docker", "attrs", "fields", "attributes", "metadata",
    "tags", "container", "pod", "namespace",
)  # fmt: skip
_WITHIN: Final = (
    "message",
    "MESSAGE",
    "log",
    "_source",
    "attributes",
    "jsonPayload",
    "result",
    "content",
    "body",
    "fields",
    "event",
)
"""What has a record's fields one level deeper."""
_PARTIAL: Final = ("partial_message", "CONTAINER_PARTIAL_MESSAGE")
_OBJECTS: Final = ("container", "pod", "namespace")
"""Labels that may be an object with a name."""
_DEEPEST: Final = 3
_COMPOSE: Final = ("com.docker.compose.service", "com_docker_compose_service")
_NAMING: Final = frozenset((*_COMPOSE, *(name for group in _SERVICES for name in group), *_WEAK))

Record = Mapping[str, object]


def line_of(record: Record) -> LogLine | None:
    """Return a record's line; None where it has none, or nothing says when or by whom it was written."""
    if is_of_logger(record):
        # A collector has put a logger's own record and what it knows itself into one.
        service = service_of(record)
        return None if service is None else LogLine(json.dumps(record), stamp_of(record), service)
    text = text_of(record)
    if text is None:
        for inner in (cast("Record", record[name]) for name in _WITHIN if isinstance(record.get(name), dict)):
            text = _text_within(inner)
            if text is not None:
                record = {**inner, **record}
                break
    if text is None:
        return None
    stamp, service = stamp_of(record), service_of(record)
    if stamp is None and service is None and not any(isinstance(record.get(name), str) for name in _SURE):
        return None
    return LogLine(text, stamp, service)


def is_of_logger(record: Record) -> bool:
    """Whether a record is what a program's own logger wrote: Python's JSON formatters name these."""
    return "asctime" in record and "levelname" in record


def _text_within(record: Record) -> str | None:
    return json.dumps(record) if is_of_logger(record) else text_of(record)


def is_partial(record: Record, text: str) -> bool:
    """Whether the next record goes on with a line: Docker and containerd cut lines at 16 KiB."""
    if any(record.get(name) in ("true", True) for name in _PARTIAL):
        return True
    return isinstance(record.get("log"), str) and len(text) >= 16_000 and not text.endswith("\n")


def text_of(record: Record) -> str | None:
    """Return a record's text."""
    for name in _TEXTS:
        value = record.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and name == "MESSAGE":
            return _of_bytes(cast("list[object]", value))
        if isinstance(value, dict) and name in ("body", "Body"):
            return text_of(cast("Record", value))
    return None


def stamp_of(record: Record) -> str | None:
    """Return when a record was written."""
    for name in _STAMPS:
        value = record.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            stamp = normal_stamp(value)
            if stamp is not None:
                return stamp
    return None


def service_of(record: Record) -> str | None:
    """Return who wrote a record: names of its host, pod and container, or whatever of that it has."""
    labels = _labels_of(record)
    if _NAMING.isdisjoint(labels):
        return None
    compose = _first(labels, _COMPOSE)
    if compose is not None:
        return compose
    names = [name for group in _SERVICES[:-1] if (name := _first(labels, group)) is not None]
    if not _first(labels, (*_SERVICES[-3], *_SERVICES[-2])):
        names += [name for name in (_first(labels, _SERVICES[-1]),) if name is not None]
    if not names:
        names = [name for name in (_first(labels, _WEAK),) if name is not None]
    return "/".join(names).lstrip("/") or None


def _labels_of(record: Record, depth: int = 0) -> Record:
    """Return a record's fields with those of its labels."""
    found: dict[str, object] = {}
    for name in _LABELS:
        value = record.get(name)
        if isinstance(value, dict) and depth < _DEEPEST:
            inner = cast("Record", value)
            found |= _labels_of(inner, depth + 1)
            if name in _OBJECTS and isinstance(inner.get("name"), str):
                found[name] = inner["name"]
        elif isinstance(value, list) and name == "attributes":
            found |= _of_pairs(cast("Sequence[object]", value))
    if not found:
        return record
    found |= {name: value for name, value in record.items() if isinstance(value, str)}
    return found


def _of_pairs(pairs: Sequence[object]) -> Record:
    """Return OpenTelemetry's attributes, a list of keys and values, as a mapping."""
    found: dict[str, object] = {}
    for pair in pairs:
        if isinstance(pair, Mapping):
            inner = cast("Record", pair)
            key, value = inner.get("key"), inner.get("value")
            if isinstance(key, str) and isinstance(value, Mapping):
                found[key] = cast("Record", value).get("stringValue")
    return found


def _first(labels: Record, names: Sequence[str]) -> str | None:
    for name in names:
        value = labels.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def _of_bytes(numbers: list[object]) -> str | None:
    """Return a text that journald gives as numbers, because it has colours or is not in UTF-8."""
    if all(isinstance(number, int) and 0 <= number < 256 for number in numbers):
        return bytes(cast("list[int]", numbers)).decode("utf-8", "surrogateescape")
    return None
