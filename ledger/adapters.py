"""What only adapters need, who read and write foreign formats or answer `doctor`; loaded when asked for.

Everything else that an adapter uses is in `ledger` itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger.doctor import DoctorCheck
    from ledger.engines import CacheVariable, EngineDescription, register_engine
    from ledger.events.rows import EventRow
    from ledger.fleet.engines import Days, FleetEngine
    from ledger.fleet.translation import add_first
    from ledger.interchange.exporters import EndpointExporter, Exporter
    from ledger.interchange.folder_exporters import FolderExporter, FolderWritten
    from ledger.interchange.importers import Importer, UnreadLine
    from ledger.interchange.unwrapping import LogLine, Unwrapper, normal_stamp
    from ledger.recording.process_identity import ProcessCreated, process_created
    from ledger.recording.readiness import process_ready, when_ready
    from ledger.storage.queries import query_title, saved_queries
    from ledger.storage.schema_docs import Relation, schema
    from ledger.timeline.claim_intervals import claim_intervals, intervals_in_question
    from ledger.timeline.clocks import ClockAlignment
    from ledger.timeline.enclosure import by_enclosure, each_after_enclosers
    from ledger.timeline.process_names import process_names
    from ledger.timeline.records import IntervalKey
    from ledger.vocabulary import CAUSE_LABELS, CAUSES, ENGINE_READY, FIRST_TOKEN, SERVER_READY, WAITING

_ON_DEMAND = {
    "CAUSE_LABELS": "ledger.vocabulary",
    "CAUSES": "ledger.vocabulary",
    "CacheVariable": "ledger.engines",
    "ClockAlignment": "ledger.timeline.clocks",
    "Days": "ledger.fleet.engines",
    "DoctorCheck": "ledger.doctor",
    "ENGINE_READY": "ledger.vocabulary",
    "EndpointExporter": "ledger.interchange.exporters",
    "EngineDescription": "ledger.engines",
    "EventRow": "ledger.events.rows",
    "Exporter": "ledger.interchange.exporters",
    "FIRST_TOKEN": "ledger.vocabulary",
    "FleetEngine": "ledger.fleet.engines",
    "FolderExporter": "ledger.interchange.folder_exporters",
    "FolderWritten": "ledger.interchange.folder_exporters",
    "Importer": "ledger.interchange.importers",
    "IntervalKey": "ledger.timeline.records",
    "LogLine": "ledger.interchange.unwrapping",
    "ProcessCreated": "ledger.recording.process_identity",
    "Relation": "ledger.storage.schema_docs",
    "SERVER_READY": "ledger.vocabulary",
    "UnreadLine": "ledger.interchange.importers",
    "Unwrapper": "ledger.interchange.unwrapping",
    "WAITING": "ledger.vocabulary",
    "add_first": "ledger.fleet.translation",
    "by_enclosure": "ledger.timeline.enclosure",
    "claim_intervals": "ledger.timeline.claim_intervals",
    "each_after_enclosers": "ledger.timeline.enclosure",
    "intervals_in_question": "ledger.timeline.claim_intervals",
    "normal_stamp": "ledger.interchange.unwrapping",
    "process_created": "ledger.recording.process_identity",
    "process_names": "ledger.timeline.process_names",
    "process_ready": "ledger.recording.readiness",
    "query_title": "ledger.storage.queries",
    "register_engine": "ledger.engines",
    "saved_queries": "ledger.storage.queries",
    "schema": "ledger.storage.schema_docs",
    "when_ready": "ledger.recording.readiness",
}

__all__ = [
    "CAUSES",
    "CAUSE_LABELS",
    "ENGINE_READY",
    "FIRST_TOKEN",
    "SERVER_READY",
    "WAITING",
    "CacheVariable",
    "ClockAlignment",
    "Days",
    "DoctorCheck",
    "EndpointExporter",
    "EngineDescription",
    "EventRow",
    "Exporter",
    "FleetEngine",
    "FolderExporter",
    "FolderWritten",
    "Importer",
    "IntervalKey",
    "LogLine",
    "ProcessCreated",
    "Relation",
    "UnreadLine",
    "Unwrapper",
    "add_first",
    "by_enclosure",
    "claim_intervals",
    "each_after_enclosers",
    "intervals_in_question",
    "normal_stamp",
    "process_created",
    "process_names",
    "process_ready",
    "query_title",
    "register_engine",
    "saved_queries",
    "schema",
    "when_ready",
]


def __getattr__(name: str) -> object:
    if name in _ON_DEMAND:
        return getattr(import_module(_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
