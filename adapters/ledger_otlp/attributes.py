"""Attributes of spans and resources, by OpenTelemetry's semantic conventions where these have a name."""

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final, TypeAlias

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.version import __version__ as sdk_version
from pydantic import JsonValue, TypeAdapter

from ledger import Process, Session, __version__

Value: TypeAlias = str | bool | int | float

PREFIX: Final = "compile_ledger."
"""Of what the conventions have no name for."""
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.40.0"
_INT64: Final = range(-(2**63), 2**63)
_UNKNOWN_SERVICE: Final = "unknown_service"
_DATA: Final = TypeAdapter(dict[str, JsonValue])


def own(fields: Mapping[str, object]) -> dict[str, Value]:
    """Return fields as attributes with our prefix, without those that are None."""
    return {f"{PREFIX}{name}": _value(value) for name, value in fields.items() if value is not None}


def of_data(data_json: str | None) -> dict[str, Value]:
    """Return the `data` of an interval or a claim: an attribute for each of its keys."""
    data = _DATA.validate_json(data_json or "{}")
    return own({f"data.{key}": value for key, value in data.items()})


def session_resource(session: Session | None, session_id: str) -> Resource:
    """Return the resource of a session as a whole."""
    attributes = _common(session, session_id)
    if session is not None and session.command:
        attributes["process.command_args"] = tuple(session.command)
    return _resource(attributes)


def process_resource(session: Session | None, process: Process) -> Resource:
    """Return the resource of one of its processes."""
    attributes = _common(session, process.session)
    known = {
        "host.name": process.host,
        "process.pid": process.pid,
        "process.parent_pid": process.parent_pid,
        "service.instance.id": process.process,
    }
    attributes |= {name: _value(value) for name, value in known.items() if value is not None}
    return _resource(attributes | own({"process": process.process, "rank": process.rank}))


def _common(session: Session | None, session_id: str) -> dict[str, Value | tuple[str, ...]]:
    attributes: dict[str, Value | tuple[str, ...]] = {
        "service.name": _service(session),
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": sdk_version,
        "telemetry.distro.name": "compile-ledger",
        "telemetry.distro.version": __version__,
    }
    if session is None:
        return attributes | own({"session": session_id})
    if "python" in session.versions:
        attributes["process.runtime.version"] = session.versions["python"]
    versions = {f"version.{name}": version for name, version in session.versions.items()}
    return attributes | own({"session": session_id, "label": session.label, **versions})


def _service(session: Session | None) -> str:
    """Return what is started: the label, else the program's name."""
    if session is not None and session.label:
        return session.label
    program = PurePath(session.command[0]).name if session is not None and session.command else ""
    return program or _UNKNOWN_SERVICE


def _resource(attributes: Mapping[str, Value | tuple[str, ...]]) -> Resource:
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say it better, as they do for every other program.
    return Resource(attributes, SCHEMA_URL).merge(OTELResourceDetector().detect())


def _value(value: object) -> Value:
    if isinstance(value, (bool, float)) or (isinstance(value, int) and value in _INT64):
        return value
    return value if isinstance(value, str) else json.dumps(value)
