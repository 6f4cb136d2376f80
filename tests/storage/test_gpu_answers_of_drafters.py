"""What the saved queries answer of starts on an H200 with a drafter (eagle), cold and warm.

Written down from what the starts printed: vLLM's log lines, and the tables of the report at the end.
"""

import pytest

from tests.support.gpu_starts import answer, gpu_ledger, gpu_objects, selected

LANGUAGE, DRAFTER = "language_model", "drafter"

WHO_SAYS_WHAT = {
    # role, measured, monitor, backend, engine: vLLM adds the drafter's time to the language model's
    "eagle-cold": [
        (None, 18.397, None, 18.397, None),
        (DRAFTER, 3.573, 2.477, 3.465, None),
        (LANGUAGE, 9.471, 9.348, 9.347, 11.825),
    ],
    "eagle-warm": [
        (None, 0.078, None, 0.078, None),
        (DRAFTER, 0.224, 0.215, 0.224, None),
        (LANGUAGE, 1.181, 1.181, 1.181, 1.397),
    ],
}


@pytest.mark.parametrize("name", WHO_SAYS_WHAT)
def test_the_engine_says_of_the_language_model_what_both_took(name: str) -> None:
    columns = ("role", "measured", "monitor", "backend", "engine")
    assert answer(gpu_ledger(name), "who_says_what", *columns) == WHO_SAYS_WHAT[name]


LUMPED = {
    # claimed ("compilation: …", in all its digits), and of this "torch.compile took …" of the drafter
    "eagle-cold": (11.825, 2.477),
    "eagle-warm": (1.397, 0.215),
}


@pytest.mark.parametrize("name", LUMPED)
def test_the_cause_is_the_drafter_inside_of_the_language_model(name: str) -> None:
    sql = """
        SELECT c.source, c.claimed_s, k.stage, k.ns / 1e9 AS seconds, i.role, i.component
        FROM causes k
        JOIN claims c USING (session, process, claim)
        JOIN json_each(k.intervals) j
        JOIN intervals i
            ON i.session = k.session
            AND i.process = json_extract(j.value, '$.process')
            AND i.interval = json_extract(j.value, '$.interval')
        WHERE k.cause = 'role_lumping'
        ORDER BY c.source, i.duration_ns DESC
    """
    claimed, drafters = LUMPED[name]
    found = [row for row in selected(gpu_ledger(name), sql) if row[2] == "torch_compile"]
    lumped = ("torch_compile", drafters, DRAFTER, "eagle_head")
    assert list(dict.fromkeys(found)) == [("engine", claimed, *lumped), ("monitor", claimed, *lumped)]


COMPONENTS = {
    "eagle-cold": [
        (LANGUAGE, "backbone", "miss", 1, 0.0),
        (LANGUAGE, "backbone", "compiled", 1, 9.348),
        (DRAFTER, "eagle_head", "miss", 1, 0.0),
        (DRAFTER, "eagle_head", "compiled", 1, 2.477),
    ],
    "eagle-warm": [
        (LANGUAGE, "backbone", "hit", 1, 1.181),
        (DRAFTER, "eagle_head", "hit", 1, 0.215),
    ],
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_head_is_a_part_of_its_own(name: str) -> None:
    columns = ("role", "component", "cache", "times", "seconds")
    assert answer(gpu_ledger(name), "components", *columns) == COMPONENTS[name]


GRAPHS = {
    # component, graph, what the cache had; then sum of the range's graphs, and what its line says
    "eagle-cold": {
        "backbone": ([(0, "miss"), (1, "miss"), (2, "reused"), (3, "reused"), (4, "miss")], 6.986, 6.99),
        "eagle_head": ([(0, "miss"), (1, "miss")], 1.639, 1.64),
    },
    "eagle-warm": {
        "backbone": ([(0, "hit"), (1, "hit"), (2, "reused"), (3, "reused"), (4, "hit")], 0.276, 0.277),
        "eagle_head": ([(0, "hit"), (1, "hit")], 0.038, 0.038),
    },
}


@pytest.mark.parametrize("name", GRAPHS)
def test_the_head_has_a_graph_before_its_one_attention_and_one_behind(name: str) -> None:
    rows = answer(gpu_ledger(name), "graphs", "component", "graph", "cache", "of_range", "line_says")
    assert {row[0] for row in rows} == GRAPHS[name].keys()
    for component, (graphs, of_range, line_says) in GRAPHS[name].items():
        of_component = [row[1:] for row in rows if row[0] == component]
        assert [row[:2] for row in of_component] == graphs
        assert {row[2:] for row in of_component} == {(of_range, line_says)}


OF_DRAFTER = {
    # activity, seconds
    "eagle-cold": {"capture": 31.058, "startup": 3.632, "compile": 3.573, "warmup": 0.128, "load": 0.013},
    "eagle-warm": {"capture": 31.045, "startup": 0.344, "compile": 0.224, "warmup": 0.009, "load": 0.012},
}
IN_PART_OF = [
    # a drafter's stage, and the whole model's that it is a part of
    ("model_load", "model_load"),
    ("profile_run", "profile_run"),
    ("graph_capture", "graph_capture"),
    ("warmup", "step_warmup"),
    ("warmup", "step_warmup"),
]


@pytest.mark.parametrize("name", OF_DRAFTER)
def test_a_drafters_part_of_each_stage_is_the_drafters(name: str) -> None:
    rows = answer(gpu_ledger(name), "role_totals", "role", "activity", "seconds")
    assert {activity: seconds for role, activity, seconds in rows if role == DRAFTER} == OF_DRAFTER[name]
    sql = """
        SELECT i.stage, e.stage AS around, i.component
        FROM intervals i
        JOIN intervals e ON e.session = i.session AND e.process = i.process AND e.interval = i.enclosing
        WHERE i.role = 'drafter' AND i.source = 'engine' AND e.role IS NULL
        ORDER BY i.start_ns
    """
    expected = [(*stages, "eagle_head") for stages in IN_PART_OF]
    assert selected(gpu_ledger(name), sql) == expected


@pytest.mark.parametrize(("name", "in_line"), [("eagle-cold", 32), ("eagle-warm", 31)])
def test_nearly_all_of_the_capture_is_the_drafters(name: str, in_line: int) -> None:
    """As "Graph capturing finished in 32 secs" does not say: 0.6 s of it are the language model's own."""
    objects = gpu_objects(name)[name]
    starts = [one for one in objects if one["kind"] == "stage_started" and one["stage"] == "graph_capture"]
    stops = {
        (one["process"], one["interval"]): one["at_ns"] for one in objects if one["kind"] == "stage_stopped"
    }
    took_ns = {one.get("role"): stops[one["process"], one["interval"]] - one["at_ns"] for one in starts}
    sql = "SELECT role, max_ns FROM session_totals WHERE activity = 'capture'"
    assert dict(selected(gpu_ledger(name), sql)) == took_ns
    assert took_ns.keys() == {None, DRAFTER}
    assert round(took_ns[None] / 1e9) == in_line
    assert took_ns[DRAFTER] / took_ns[None] > 0.98
