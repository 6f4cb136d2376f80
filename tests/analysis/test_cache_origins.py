"""What was compiled and what was loaded, of real starts and of cases that are built."""

from collections.abc import Mapping

import pytest

from ledger import Event, StageStarted, StageStopped, parse_event
from ledger.analysis.cache_origins import (
    KeyPart,
    Origins,
    OtherWay,
    Part,
    Way,
    origins,
    other_key_parts,
    other_ways,
)
from ledger.testing import MemoryLedger, SessionBuilder
from ledger.vocabulary import Source
from tests.support.paths import DATA
from tests.support.starts import kept

BLOCK = Part("encoder", "Block")
VLLM = [
    Part("encoder", "Qwen2_5_VisionBlock"),
    Part("encoder", "Qwen2_5_VisionPatchEmbed"),
    Part("encoder", "Qwen2_5_VisionPatchMerger"),
    Part("language_model", "backbone"),
]


class Session:
    """A session whose intervals say what they found."""

    def __init__(self) -> None:
        self._builder = SessionBuilder()
        self._builder.begin()
        self._data: dict[int, Mapping[str, object]] = {}
        self._at_ns = 0

    def begin(self, stage: str, source: Source = "backend", component: str | None = "Block") -> int:
        role = None if source == "torch" else "encoder"
        self._at_ns += 1
        return self._builder.start(self._at_ns, stage, role=role, component=component, source=source)

    def end(self, interval: int, **data: object) -> None:
        self._at_ns += 1
        self._builder.stop(self._at_ns, interval)
        self._data[interval] = data

    def was(
        self, stage: str, source: Source = "backend", component: str | None = "Block", **data: object
    ) -> None:
        self.end(self.begin(stage, source, component), **data)

    def read(self) -> Origins:
        events: list[Event] = [
            event.model_copy(update={"data": self._data[event.interval]})
            if isinstance(event, StageStopped) and self._data.get(event.interval)
            else event
            for event in self._builder.events
        ]
        assert any(isinstance(event, StageStarted) for event in events)
        with MemoryLedger(events) as ledger:
            return origins(ledger, ledger.session())


def all_origins(ledger: MemoryLedger) -> list[Origins]:
    return [origins(ledger, session) for session in ledger.sessions()]


def of_file(name: str) -> list[Origins]:
    lines = (DATA / name).read_bytes().splitlines()
    with MemoryLedger(map(parse_event, lines)) as ledger:
        return all_origins(ledger)


def test_a_real_warm_start_of_vllm_loads_what_the_cold_one_compiled() -> None:
    cold, warm = of_file("vllm.jsonl")
    assert cold.ways == dict.fromkeys(VLLM, "compiled")
    assert warm.ways == dict.fromkeys(VLLM, "loaded")
    assert other_ways([cold], [warm]) == [OtherWay(part, {"compiled": 1}, {"loaded": 1}) for part in VLLM]
    assert {part.component for part in cold.keys if part.name == "code_hash"} == {
        part.component for part in VLLM
    }


def test_a_real_warm_start_of_torch_alone_loads_what_the_cold_one_compiled() -> None:
    cold, warm, killed = of_file("demo.jsonl")
    assert set(cold.ways.values()) == {"compiled"}
    assert set(warm.ways.values()) == {"loaded"}
    assert cold.ways.keys() == warm.ways.keys()
    assert killed.ways == {}


@pytest.mark.parametrize(("label", "way"), [("cold", "compiled"), ("warm", "loaded")])
def test_all_kept_starts_say_how_they_came_by_both_models(label: str, way: Way) -> None:
    parts = [Part("encoder", "VisionEncoder"), Part("language_model", "DecoderLM")]
    with MemoryLedger(event for start in kept(label) for event in start) as ledger:
        assert all(found.ways == dict.fromkeys(parts, way) for found in all_origins(ledger))


def test_an_attempt_that_finds_nothing_is_no_failure_but_one_that_can_not_load_is() -> None:
    for found, way in (("miss", "compiled"), ("failed", "compiled after a failed load")):
        session = Session()
        load = session.begin("aot_load")
        session.was("torch_compile", "monitor", cache=found)
        session.end(load, cache=found)
        session.was("torch_compile", "monitor", cache="compiled")
        assert session.read().ways == {BLOCK: way}


def test_a_load_that_failed_and_no_compile_after_it_is_told() -> None:
    session = Session()
    session.was("aot_load", cache="failed")
    assert session.read().ways == {BLOCK: "load failed"}


@pytest.mark.parametrize(
    ("graphs", "way"),
    [
        (("graph_load hit", "graph_load hit"), "loaded"),
        (("graph_load hit", "graph_compile miss"), "partly loaded"),
        (("graph_load outdated", "graph_compile miss"), "compiled"),
        (("graph_compile miss", "graph_compile reused"), "compiled"),
        ((), "compiled"),
    ],
)
def test_where_the_monitor_times_both_the_graphs_tell(graphs: tuple[str, ...], way: Way) -> None:
    session = Session()
    compiling = session.begin("torch_compile", "monitor")
    for graph in graphs:
        stage, cache = graph.split()
        session.was(stage, cache=cache)
    session.end(compiling, cache="compiled")
    assert session.read().ways == {BLOCK: way}


def test_where_torch_s_caches_say_nothing_nothing_is_said() -> None:
    session = Session()
    session.was("torch_compile", "user")
    assert session.read().ways == {}


def test_what_torch_compiles_outside_of_any_monitor_is_a_part_of_its_own() -> None:
    session = Session()
    monitored = session.begin("torch_compile", "monitor")
    frame = session.begin("entire_frame_compile", "torch", None)
    session.was("backend_compile", "torch", None, cache_state="hit")
    session.end(frame)
    session.end(monitored)
    frame = session.begin("entire_frame_compile", "torch", None)
    session.was("backend_compile", "torch", None, cache_state="bypass")
    session.end(frame)
    assert session.read().ways == {BLOCK: "loaded", Part("model", None): "compiled"}


def test_only_parts_that_both_sides_have_and_got_in_other_ways_are_told() -> None:
    other = Part("drafter", None)
    a = [Origins({BLOCK: "loaded", other: "compiled"}, {})] * 2
    b = [Origins({BLOCK: "loaded"}, {}), Origins({BLOCK: "compiled"}, {})]
    assert other_ways(a, b) == [OtherWay(BLOCK, {"loaded": 2}, {"loaded": 1, "compiled": 1})]
    assert other_ways(a, a) == []


def test_a_part_of_the_key_is_another_where_no_session_has_it_as_on_the_other_side() -> None:
    def session(code: str, **variables: str) -> Origins:
        session = Session()
        session.was("backend_compile", cache_key={"code_hash": code, "env": "e"}, cache_key_env=variables)
        return session.read()

    code = KeyPart("Block", "code_hash")
    assert other_key_parts([session("x")], [session("y")]) == [code]
    assert other_key_parts([session("x"), session("y")], [session("y")]) == []
    assert other_key_parts([session("x", OLD="1", NEW="1")], [session("x", OLD="1")]) == [
        KeyPart(None, "NEW")
    ]
    assert other_key_parts([session("x", OLD="1")], [Origins({}, {})]) == []
