"""Writes a session in Perfetto's own format: https://perfetto.dev/docs/reference/synthetic-track-event."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Final

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import (
    BUILTIN_CLOCK_BOOTTIME,
    BUILTIN_CLOCK_REALTIME,
    CounterDescriptor,
    DebugAnnotation,
    InternedData,
    Trace,
    TracePacket,
    TrackDescriptor,
    TrackEvent,
)

from ledger_perfetto.drawing import Drawing, DrawnProcess, Mark, Sample, Slice
from ledger_perfetto.notes import Notes

_SEQUENCE: Final = 1
"""All packets belong to one sequence, and share its interned strings."""
_INTERNED: Final = 50_000
"""So many texts are written once: those of a large session may all be different, and have to be kept here."""


def trace(drawing: Drawing) -> Iterator[bytes]:
    """Yield the trace in chunks."""
    writer = _Writer()
    for packet in writer.packets(drawing):
        yield Trace(packet=[packet]).SerializeToString()


class _Writer:
    def __init__(self) -> None:
        self._uuids: Final = count(1)
        self._names: Final[dict[str, int]] = {}
        self._notes: Final[dict[str, int]] = {}
        self._texts: Final[dict[str, int]] = {}

    def packets(self, drawing: Drawing) -> Iterator[TracePacket]:
        begin = self._packet()
        begin.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        if drawing.wall_ns is not None:
            begin.clock_snapshot.clocks.add(clock_id=BUILTIN_CLOCK_BOOTTIME, timestamp=0)
            begin.clock_snapshot.clocks.add(clock_id=BUILTIN_CLOCK_REALTIME, timestamp=drawing.wall_ns)
        yield begin
        processes: list[int] = []
        for process in drawing.processes:
            packet, uuid = self._track(process.name, None, 0)
            processes.append(uuid)
            yield from self._process(process, packet, uuid)
        for place, contents in drawing.contents:
            yield from self._contents(contents, processes[place])

    def _process(self, process: DrawnProcess, packet: TracePacket, uuid: int) -> Iterator[TracePacket]:
        packet.track_descriptor.description = process.description
        packet.track_descriptor.child_ordering = TrackDescriptor.EXPLICIT
        if process.pid is not None:
            packet.track_descriptor.process.pid = process.pid
            packet.track_descriptor.process.process_name = process.name
        yield packet
        for rank, (name, marks) in enumerate(process.marks.items(), 1):
            packet, of_track = self._track(name, uuid, rank)
            yield packet
            yield from (self._mark(mark, of_track) for mark in marks)

    def _contents(self, contents: Iterable[Slice | Sample], process: int) -> Iterator[TracePacket]:
        uuids: dict[int, int] = {}
        stops: defaultdict[int, list[int]] = defaultdict(list)
        """By track: when its slices that are still going on stop, the innermost last."""
        for one in contents:
            track = one.track
            if track.number not in uuids:
                packet, uuids[track.number] = self._track(track.name, process, track.rank)
                if isinstance(one, Sample):
                    packet.track_descriptor.counter.unit = CounterDescriptor.UNIT_TIME_NS
                yield packet
            uuid = uuids[track.number]
            if isinstance(one, Sample):
                packet = self._event(TrackEvent.TYPE_COUNTER, uuid, one.at_ns)
                packet.track_event.counter_value = one.total_ns
                yield packet
                continue
            going_on = stops[uuid]
            while going_on and going_on[-1] <= one.start_ns:
                yield self._event(TrackEvent.TYPE_SLICE_END, uuid, going_on.pop())
            yield self._slice(one, uuid)
            if one.stop_ns is not None:
                going_on.append(one.stop_ns)
        for uuid, going_on in stops.items():
            while going_on:
                yield self._event(TrackEvent.TYPE_SLICE_END, uuid, going_on.pop())

    def _slice(self, one: Slice, uuid: int) -> TracePacket:
        packet = self._event(TrackEvent.TYPE_SLICE_BEGIN, uuid, one.start_ns)
        self._annotate(packet, one.name, one.notes)
        packet.track_event.flow_ids.extend(one.arrows)
        return packet

    def _mark(self, mark: Mark, uuid: int) -> TracePacket:
        packet = self._event(TrackEvent.TYPE_INSTANT, uuid, mark.at_ns)
        self._annotate(packet, mark.name, mark.notes)
        packet.track_event.terminating_flow_ids.extend(mark.arrows)
        return packet

    def _track(self, name: str, parent: int | None, rank: int) -> tuple[TracePacket, int]:
        packet, uuid = self._packet(), next(self._uuids)
        descriptor = packet.track_descriptor
        descriptor.uuid, descriptor.name, descriptor.sibling_order_rank = uuid, name, rank
        if parent is not None:
            descriptor.parent_uuid = parent
        else:  # two processes may share a name; tracks of one name within a process are merged
            descriptor.sibling_merge_behavior = TrackDescriptor.SIBLING_MERGE_BEHAVIOR_NONE
        return packet, uuid

    def _event(self, kind: TrackEvent.Type, uuid: int, at_ns: int) -> TracePacket:
        packet = self._packet()
        packet.timestamp = at_ns
        packet.timestamp_clock_id = BUILTIN_CLOCK_BOOTTIME
        packet.track_event.type = kind
        packet.track_event.track_uuid = uuid
        return packet

    def _packet(self) -> TracePacket:
        flags = TracePacket.SEQ_NEEDS_INCREMENTAL_STATE
        return TracePacket(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=flags)

    def _annotate(self, packet: TracePacket, name: str, notes: Notes) -> None:
        """Set an event's name and notes, interning their strings."""
        event, sent = packet.track_event, packet.interned_data
        if name not in self._names:
            self._names[name] = len(self._names) + 1
            sent.event_names.add(iid=self._names[name], name=name)
        event.name_iid = self._names[name]
        for key, value in notes.items():
            if key not in self._notes:
                self._notes[key] = len(self._notes) + 1
                sent.debug_annotation_names.add(iid=self._notes[key], name=key)
            note = event.debug_annotations.add(name_iid=self._notes[key])
            if isinstance(value, bool):
                note.bool_value = value
            elif isinstance(value, int):
                note.int_value = value
            else:
                self._write_text(note, value, sent)

    def _write_text(self, note: DebugAnnotation, value: str, sent: InternedData) -> None:
        if value not in self._texts:
            if len(self._texts) == _INTERNED:
                note.string_value = value
                return
            self._texts[value] = len(self._texts) + 1
            sent.debug_annotation_string_values.add(iid=self._texts[value], str=value.encode())
        note.string_value_iid = self._texts[value]
