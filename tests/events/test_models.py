"""Events: what is one and what is not, and their two other forms, a line and a row, which lose nothing.

And what a recorder makes of what is none: no number is lost, nothing gets out, and the rest is recorded.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger import Event, InvalidEvent, Recorder, StageStarted, TotalClaimed, parse_event
from ledger.events.models import to_line
from ledger.events.rows import EventRow, from_row, to_row
from ledger.storage.store import Store
from ledger.vocabulary import STAGES
from tests.support.journals import intervals, recorded

KEY = {"session": "s", "process": "1-ab", "seq": 0, "at_ns": 5}
START = {**KEY, "kind": "stage_started", "interval": 0, "stage": "dynamo", "source": "torch"}

FORMAT_1 = """
{"session":"s","process":"p","seq":0,"at_ns":1,"kind":"session_started","label":"nightly","command":["vllm","serve"],"versions":{"python":"3.11.7"},"environment":{"RANK":"0"},"wall_ns":7}
{"session":"s","process":"p","seq":1,"at_ns":1,"kind":"process_joined","name":"Worker_TP0","rank":0,"pid":12,"pid_start":34,"parent_pid":1,"host":"h","boot_id":"b","time_namespace":"time:[1]","pid_namespace":"pid:[2]","wall_ns":7,"hooks":["a"],"missing_hooks":["b: gone"]}
{"session":"s","process":"p","seq":2,"at_ns":2,"kind":"stage_started","interval":2,"stage":"torch_compile","source":"monitor","activity":"compile","role":"encoder","component":"Block","thread":"MainThread-12","parent":1,"data":{"range":"(1, 2048)"}}
{"session":"s","process":"p","seq":3,"at_ns":3,"kind":"stage_stopped","interval":2,"outcome":"failed","error":"ValueError","data":{"cache":"miss"}}
{"session":"s","process":"p","seq":4,"at_ns":4,"kind":"total_claimed","claim":4,"counts":"total","source":"log","role":"encoder","component":"Block","stage":"torch_compile","claimed_ns":16770000000,"resolution_ns":10000000,"text":"16.77 s","interval":2,"data":{"a":null}}
{"session":"s","process":"p","seq":5,"at_ns":5,"kind":"milestone_reached","name":"engine_ready"}
{"session":"s","process":"p","seq":6,"at_ns":6,"kind":"gap_noted","what":"events_not_written","count":3,"detail":"the disk was full"}
{"session":"s","process":"p","seq":7,"at_ns":7,"kind":"session_ended","outcome":"completed"}
{"session":"s","process":"p","seq":8,"at_ns":8,"kind":"process_left","outcome":"completed","event_count":9}
{"session":"s","process":"p:lost","seq":0,"at_ns":8,"kind":"process_lost","lost":"p","last_seq":8}
""".strip().splitlines()  # noqa: E501
"""Every kind with every field, as format 1 writes it. Never edited: a format 2 gets lines of its own."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(bool)
naturals = st.integers(0, 2**63 - 1)
numbers = st.integers(-(2**63), 2**63 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
data = st.none() | st.dictionaries(texts, json_values, max_size=3)
sources = st.sampled_from(["monitor", "backend", "engine", "torch", "python", "log", "user"])
outcomes = st.sampled_from(["completed", "failed"])
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "session_started": {
        "label": st.none() | texts, "command": st.lists(texts, max_size=3),
        "versions": st.dictionaries(texts, texts, max_size=2),
        "environment": st.dictionaries(texts, texts, max_size=2), "wall_ns": st.none() | naturals,
    },
    "process_joined": {
        "name": names, "rank": st.none() | naturals, "pid": st.none() | naturals,
        "pid_start": st.none() | naturals, "parent_pid": st.none() | naturals, "host": st.none() | texts,
        "boot_id": st.none() | texts, "time_namespace": st.none() | texts,
        "pid_namespace": st.none() | texts, "wall_ns": st.none() | naturals,
        "hooks": st.lists(texts, max_size=2), "missing_hooks": st.lists(texts, max_size=2),
    },
    "stage_started": {
        "interval": naturals, "stage": names, "source": sources, "activity": st.sampled_from(list(STAGES)),
        "role": st.none() | names, "component": st.none() | names, "thread": st.none() | texts,
        "parent": st.none() | naturals, "data": data,
    },
    "stage_stopped": {
        "interval": naturals, "outcome": outcomes, "error": st.none() | texts, "data": data,
    },
    "total_claimed": {
        "claim": naturals, "counts": st.sampled_from(["interval", "addition", "total", "ranks"]),
        "source": sources, "role": st.none() | names, "component": st.none() | names,
        "stage": st.none() | names, "claimed_ns": numbers, "resolution_ns": st.none() | naturals,
        "text": st.none() | texts, "interval": st.none() | naturals, "data": data,
    },
    "milestone_reached": {"name": names},
    "gap_noted": {"what": names, "count": naturals, "detail": st.none() | texts},
    "process_left": {"outcome": outcomes, "event_count": naturals},
    "session_ended": {"outcome": outcomes},
    "process_lost": {"lost": names, "last_seq": naturals},
}  # fmt: skip
KEYS = {"session": names, "process": names, "seq": naturals, "at_ns": naturals}
events = st.one_of(
    st.fixed_dictionaries({"kind": st.just(kind), **KEYS, **fields}).map(parse_event)
    for kind, fields in FIELDS.items()
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = Store.in_memory()
    yield store
    store.close()


class TestLines:
    @pytest.mark.parametrize("line", FORMAT_1)
    def test_what_format_1_wrote_is_read_and_written_the_same(self, line: str) -> None:
        assert to_line(parse_event(line)).decode() == line + "\n"

    def test_the_lines_of_format_1_have_every_kind_and_every_field(self) -> None:
        written = {parse_event(line).kind: set(json.loads(line)) for line in FORMAT_1}
        assert written == {kind: {"kind", *KEYS, *fields} for kind, fields in FIELDS.items()}

    @given(events)
    def test_an_event_is_one_line_that_reads_back_equal(self, event: Event) -> None:
        line = to_line(event)
        assert parse_event(line) == event
        assert line.count(b"\n") == 1
        assert line.endswith(b"}\n")

    @given(events)
    def test_what_is_none_is_not_written(self, event: Event) -> None:
        assert None not in json.loads(to_line(event)).values()

    def test_bytes_text_and_mapping_of_an_event_are_the_same_event(self) -> None:
        assert parse_event(START) == parse_event(json.dumps(START)) == parse_event(json.dumps(START).encode())


class TestRows:
    @given(events)
    def test_an_event_comes_back_from_its_row(self, event: Event) -> None:
        assert from_row(to_row(event)) == event

    @given(events, st.none() | naturals)
    def test_the_derived_time_on_the_wall_is_not_part_of_the_event(
        self, event: Event, wall_ns: int | None
    ) -> None:
        assert from_row(to_row(event, wall_ns)) == event

    @given(events)
    def test_an_event_comes_back_from_a_ledger(self, store: Store, event: Event) -> None:
        row = to_row(event)
        store.connection.execute("BEGIN")
        try:
            store.append([row])
            [back] = store.rows(event.session)
        finally:
            store.connection.execute("ROLLBACK")
        assert back == row
        assert from_row(back) == event

    @given(events)
    def test_data_and_body_are_json_that_sqlite_knows(self, store: Store, event: Event) -> None:
        row = to_row(event)
        assert row.data is None or store.select("SELECT json_valid(?)", [row.data]) == [(1,)]
        assert row.body is None or store.select("SELECT json_valid(?)", [row.body]) == [(1,)]

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
    @pytest.mark.parametrize("kind", ["stage_started", "stage_stopped", "total_claimed"])
    def test_a_number_that_json_does_not_have_makes_no_row_that_sqlite_can_not_read(
        self, store: Store, kind: str, number: str
    ) -> None:
        line = next(line for line in FORMAT_1 if kind in line)
        fields = {**json.loads(line), "data": {"x": [0]}}
        try:
            row = to_row(parse_event(json.dumps(fields).replace("[0]", f"[{number}]")))
        except InvalidEvent:
            return
        assert store.select("SELECT json_valid(?)", [row.data]) == [(1,)]

    def test_a_time_beyond_all_calendars_has_none_on_the_wall(self, store: Store) -> None:
        late = parse_event({**START, "at_ns": 2**63 - 1})
        with store.transaction():
            assert store.append([to_row(late, 2**63 + 5)]).new == 1
        assert store.select("SELECT wall_ns FROM events") == [(None,)]

    def test_every_column_of_the_table_is_in_a_row(self, store: Store) -> None:
        columns = {str(name) for (name,) in store.select("SELECT name FROM pragma_table_info('events')")}
        assert columns == {"id", *EventRow._fields}


class TestFields:
    def test_an_event_can_not_be_changed(self) -> None:
        event = parse_event(START)
        with pytest.raises(ValidationError, match="frozen"):
            event.seq = 1  # type: ignore[misc]

    def test_a_stage_of_the_vocabulary_has_its_activity(self) -> None:
        for activity, stages in STAGES.items():
            for stage in stages:
                event = parse_event({**START, "stage": stage, "source": "user"})
                assert isinstance(event, StageStarted)
                assert event.activity == activity

    def test_every_stage_of_torch_is_a_compile(self) -> None:
        event = parse_event({**START, "stage": "joint_graph_pass_3", "source": "torch"})
        assert isinstance(event, StageStarted)
        assert event.activity == "compile"

    def test_a_claim_may_be_negative(self) -> None:
        claim = json.loads(next(line for line in FORMAT_1 if "total_claimed" in line))
        assert parse_event({**claim, "claimed_ns": -5})


@dataclass
class Fault:
    """A change to a good event, and how the message about it begins."""

    says: str
    change: dict[str, object] = field(default_factory=dict)
    without: str | None = None
    of: dict[str, object] = field(default_factory=lambda: START)


FAULTS = [
    Fault("kind: Unable to extract tag", without="kind"),
    Fault("kind: Input tag 'stage_begun'", {"kind": "stage_begun"}),
    Fault("kind: Input tag '5'", {"kind": 5}),
    Fault("stage_started.seq: Field required", without="seq"),
    Fault("stage_started.interval: Field required", without="interval"),
    Fault("stage_started.stage: Field required", without="stage"),
    Fault("stage_started.source: Field required", without="source"),
    Fault("stage_started.session: String should have at least 1", {"session": ""}),
    Fault("stage_started.process: Input should be a valid string", {"process": 7}),
    Fault("stage_started.seq: Input should be greater than or equal to 0", {"seq": -1}),
    Fault("stage_started.seq: Input should be a valid integer", {"seq": "1"}),
    Fault("stage_started.seq: Input should be a valid integer", {"seq": True}),
    Fault("stage_started.at_ns: Input should be a valid integer", {"at_ns": 1.5}),
    Fault("stage_started.at_ns: Input should be less than", {"at_ns": 2**63}),
    Fault("stage_started.parent: Input should be greater than or equal to 0", {"parent": -1}),
    Fault("stage_started.role: String should have at least 1", {"role": ""}),
    Fault("stage_started.source: Input should be 'monitor'", {"source": "vllm"}),
    Fault("stage_started.activity: String should have at least 1", {"activity": ""}),
    Fault("stage_started.data: Input should be a", {"data": [1]}),
    Fault("stage_started.outcome: Extra inputs are not permitted", {"outcome": "completed"}),
    Fault("stage_started.nonsense: Extra inputs are not permitted", {"nonsense": 1}),
    Fault(
        "stage_stopped.outcome: Input should be 'completed' or 'failed'",
        {"kind": "stage_stopped", "interval": 0, "outcome": "lost"}, of=KEY,
    ),
    Fault("session_started.command.0: ", {"kind": "session_started", "command": [1]}, of=KEY),
    Fault("session_started.versions.torch: ", {"kind": "session_started", "versions": {"torch": 2}}, of=KEY),
    Fault("milestone_reached.name: Field required", {"kind": "milestone_reached"}, of=KEY),
    Fault(
        "milestone_reached.seq: Input should be a valid integer (and 1 more)",
        {"kind": "milestone_reached", "seq": "1", "name": ""}, of=KEY,
    ),
    Fault("process_left.event_count: Field required", {"kind": "process_left", "outcome": "failed"}, of=KEY),
]  # fmt: skip


class TestInvalid:
    @pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.says)
    @pytest.mark.parametrize("as_text", [False, True])
    def test_the_message_names_the_field(self, fault: Fault, as_text: bool) -> None:
        fields = {**fault.of, **fault.change}
        if fault.without:
            del fields[fault.without]
        with pytest.raises(InvalidEvent) as raised:
            parse_event(json.dumps(fields) if as_text else fields)
        message = str(raised.value)
        assert message.startswith(fault.says)
        assert "\n" not in message

    @pytest.mark.parametrize(
        "text", ["", "{", "[1]", "null", '"text"', "{} {}", '{"kind": "\\ud800"}', b"\xff", b"\0" * 9]
    )
    def test_a_text_that_is_no_object_is_no_event(self, text: str | bytes) -> None:
        with pytest.raises(InvalidEvent, match=r"^(event|kind): "):
            parse_event(text)

    def test_text_that_unicode_does_not_have_is_refused(self) -> None:
        with pytest.raises(InvalidEvent, match=r"stage_started\.stage"):
            parse_event({**START, "stage": "\udc80"})

    def test_data_deeper_than_json_is_read_is_refused(self) -> None:
        deep = '{"a":' * 500 + "1" + "}" * 500
        with pytest.raises(InvalidEvent, match="recursion"):
            parse_event(json.dumps({**START, "data": "DEEP"}).replace('"DEEP"', deep))

    def test_a_row_of_no_event_is_refused(self) -> None:
        row = to_row(parse_event(START))
        with pytest.raises(InvalidEvent, match=r"stage_started\.stage: Field required"):
            from_row(row._replace(stage=None))
        for broken in ({"data": "{"}, {"body": "no JSON"}, {"body": "[1]"}):
            with pytest.raises(InvalidEvent, match=r"process .*, seq \d+: data or body"):
                from_row(row._replace(**broken))


def test_integers_and_floats_stay_what_they_are() -> None:
    event = parse_event({**START, "data": {"i": 2**80, "f": 1.0, "small": 5e-324, "minus": -0.0}})
    back = from_row(to_row(event))
    assert isinstance(back, StageStarted)
    assert back.data is not None
    assert [type(value) for value in back.data.values()] == [int, float, float, float]
    assert math.copysign(1, back.data["minus"]) == -1  # type: ignore[arg-type]


class Unsayable:
    """What answers no question, as an array in a condition."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError("ambiguous")

    __bool__ = __hash__ = __str__ = __repr__ = __eq__ = _refuse


def nested(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(depth):
        data = {"a": data}
    return data


CIRCULAR: dict[str, Any] = {}
CIRCULAR["self"] = CIRCULAR
NAN = float("nan")
GOOD_DATA: list[Any] = [
    {"nan": NAN, "inf": [-NAN, 1e999]}, {"lone": "\udc80", "\ud800": 1}, {"object": object(), "type": int},
    {1: 2, None: 3, False: 4, (5, 6): 7, 1.5: 8}, {"bytes": b"\xff"}, {"path": Path("x"), "set": {1}},
    {"big": 2**70}, {"huge": "x" * 2_000_000}, {"nul": "\0", "line": "a\nb"}, {}, None, nested(50),
]  # fmt: skip
BAD_DATA: list[Any] = [
    CIRCULAR, {"x": Unsayable()}, nested(199), nested(250), nested(5_000), {"digits": 10**4_400},
    5, "text", [1], {b"\xff": b"\xff"}, {Unsayable: 1},
]  # fmt: skip
BAD_CALLS: dict[str, Callable[[Recorder], object]] = {
    "no stage": lambda r: r.start(""),
    "a stage that is no text": lambda r: r.start(5),
    "a stage without activity": lambda r: r.start("my_stage"),
    "a stage that can't be hashed": lambda r: r.start(["dynamo"]),
    "a role that can't be asked": lambda r: r.start("dynamo", role=Unsayable()),
    "a component that can't be": lambda r: r.start("dynamo", component=Unsayable()),
    "an unknown source": lambda r: r.start("dynamo", source="vllm"),
    "a parent below 0": lambda r: r.start("dynamo", parent=-7),
    "a parent beyond 64 bits": lambda r: r.start("dynamo", parent=2**63),
    "a parent that is no number": lambda r: r.start("dynamo", parent="7"),
    "a stop of nothing": lambda r: r.stop(None),
    "a stop below 0": lambda r: r.stop(-7),
    "a stop beyond 64 bits": lambda r: r.stop(2**63),
    "an error that is no text": lambda r: r.stop(2, error=ValueError()),
    "a number for an error": lambda r: r.stop(2, error=5),
    "a claim of no number": lambda r: r.claim(NAN, source="log"),
    "a claim beyond all numbers": lambda r: r.claim(1e300, source="log"),
    "a claim of text": lambda r: r.claim("16.77", source="log"),
    "a claim of an unknown source": lambda r: r.claim(1, source="vllm"),
    "a claim with an odd role": lambda r: r.claim(1, source="log", role=Unsayable()),
    "a claim with an odd text": lambda r: r.claim(1, source="log", text=5),
    "a milestone without a name": lambda r: r.milestone(""),
    "a milestone that can't be": lambda r: r.milestone(Unsayable()),
    "a gap of less than nothing": lambda r: r.gap("dropped", count=-1),
    "a gap of nothing": lambda r: r.gap(""),
    "a hook that can't be hashed": lambda r: (r.add_hook([]), r.hook_missing([], "x")),
}
for number, bad in enumerate(BAD_DATA):
    BAD_CALLS[f"start with data {number}"] = lambda r, bad=bad: r.start("dynamo", data=bad)
    BAD_CALLS[f"stop with data {number}"] = lambda r, bad=bad: r.stop(2, data=bad)
    BAD_CALLS[f"claim with data {number}"] = lambda r, bad=bad: r.claim(1, source="log", data=bad)


class TestBadCalls:
    @pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS)
    def test_nothing_gets_out_and_no_number_is_lost(
        self, path: Path, recorder: Recorder, call: Callable[[Recorder], object]
    ) -> None:
        recorder.start("dynamo")
        call(recorder)
        call(recorder)
        recorder.milestone("after")
        first, *_, last = recorded(path)
        assert (first.kind, last.kind) == ("stage_started", "milestone_reached")

    @pytest.mark.parametrize("data", GOOD_DATA, ids=range(len(GOOD_DATA)))
    def test_what_json_does_not_know_is_kept_as_it_can_be(
        self, path: Path, recorder: Recorder, data: Any
    ) -> None:
        recorder.stop(recorder.start("dynamo", data=data), data=data)
        recorder.claim(1, source="log", data=data)
        kinds = [event.kind for event in recorded(path)]
        assert kinds == ["stage_started", "stage_stopped", "total_claimed"]

    def test_text_that_unicode_does_not_have_is_kept_as_it_can_be(
        self, path: Path, recorder: Recorder
    ) -> None:
        with recorder.stage("dynamo\udc80", role="\udc80", activity="load", component="\ud800"):
            recorder.milestone("\udcff")
        [(start, _)] = intervals(path)
        assert (start.stage, start.role, start.component) == ("dynamo?", "?", "?")

    def test_what_is_inside_a_refused_stage_is_recorded(self, path: Path, recorder: Recorder) -> None:
        with recorder.stage("warmup") as outermost, recorder.stage("") as refused:
            with recorder.stage("dynamo"):
                recorder.claim(1.0, source="log", interval=refused.interval)
            recorder.stop(recorder.start("graph_compile", parent=refused.interval))
        _, (dynamo, _), (graph, _) = intervals(path)
        assert (dynamo.parent, graph.parent) in [(None, None), (outermost.interval, None)]
        assert [event.interval for event in recorded(path) if isinstance(event, TotalClaimed)] == [None]
