"""What the saved queries answer of starts on two H200s with a pipeline (PP 2), cold and warm.

Each rank compiles a half of the model of its own, and vLLM prints the lines of the first one alone. Written
down from what the starts printed, and for the second rank from the lines of the recording.
"""

import pytest

from tests.support.gpu_starts import answer, gpu_ledger, selected

LANGUAGE = "language_model"
FIRST, SECOND = "Worker_PP0", "Worker_PP1"

WHO_SAYS_WHAT = {
    # process, role, measured, monitor, backend, engine: the engine says the maximum over the ranks
    "pp2-cold": [
        (FIRST, None, 3.635, None, 3.635, None),
        (FIRST, LANGUAGE, 11.830, 11.732, 11.731, 12.80),
        (SECOND, None, 11.146, None, 11.146, None),
        (SECOND, LANGUAGE, 12.895, 12.796, 12.796, 12.80),
    ],
    "pp2-warm": [
        (FIRST, None, 0.027, None, 0.027, None),
        (FIRST, LANGUAGE, 1.290, 1.290, 1.290, 1.29),
        (SECOND, None, 0.090, None, 0.090, None),
        (SECOND, LANGUAGE, 1.168, 1.167, 1.167, 1.29),
    ],
}


@pytest.mark.parametrize("name", WHO_SAYS_WHAT)
def test_who_says_what_of_each_rank(name: str) -> None:
    columns = ("process", "role", "measured", "monitor", "backend", "engine")
    assert answer(gpu_ledger(name), "who_says_what", *columns) == WHO_SAYS_WHAT[name]


SLOWEST = {
    # the rank that the engine's number is of: cold it is the second one's, of which vLLM prints no line
    "pp2-cold": (SECOND, 12.796),
    "pp2-warm": (FIRST, 1.290),
}


@pytest.mark.parametrize("name", SLOWEST)
def test_the_engines_number_is_the_slowest_ranks_and_no_sum(name: str) -> None:
    said = (
        "SELECT claimed_s FROM claims WHERE source = 'engine' AND text LIKE 'engine core: compilation_time%'"
    )
    [(of_engine,)] = selected(gpu_ledger(name), said)
    by_rank = """
        SELECT p.name, c.claimed_s
        FROM claims c
        JOIN process_names p USING (session, process)
        WHERE c.counts = 'total' AND c.role = 'language_model' AND c.source = 'monitor'
        ORDER BY c.claimed_ns DESC
    """
    ranks = selected(gpu_ledger(name), by_rank)
    assert len(ranks) == 2
    assert ranks[0] == SLOWEST[name] == (ranks[0][0], of_engine)
    causes = "SELECT count(*) AS n FROM causes WHERE cause = 'mixed_ranks'"
    assert selected(gpu_ledger(name), causes) == [(0,)]


COMPONENTS = {
    "pp2-cold": [
        (FIRST, LANGUAGE, "backbone", "miss", 1, 0.0),
        (FIRST, LANGUAGE, "backbone", "compiled", 1, 11.732),
        (SECOND, LANGUAGE, "backbone", "miss", 1, 0.0),
        (SECOND, LANGUAGE, "backbone", "compiled", 1, 12.796),
    ],
    "pp2-warm": [
        (FIRST, LANGUAGE, "backbone", "hit", 1, 1.290),
        (SECOND, LANGUAGE, "backbone", "hit", 1, 1.168),
    ],
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_each_rank_compiles_or_loads_its_half(name: str) -> None:
    columns = ("process", "role", "component", "cache", "times", "seconds")
    assert answer(gpu_ledger(name), "components", *columns) == COMPONENTS[name]


RANGES = {
    "pp2-cold": [(FIRST, "(1, 8192)", 9.050, 9.05), (SECOND, "(1, 8192)", 9.989, None)],
    "pp2-warm": [(FIRST, "(1, 8192)", 0.125, 0.126), (SECOND, "(1, 8192)", 0.122, None)],
}


@pytest.mark.parametrize("name", RANGES)
def test_a_range_of_each_rank_is_the_sum_of_its_graphs(name: str) -> None:
    columns = ("process", "range", "of_range", "line_says")
    assert list(dict.fromkeys(answer(gpu_ledger(name), "graphs", *columns))) == RANGES[name]


SKEW = {
    # role, ranks, the slowest, its seconds, and how far apart the ranks are
    "pp2-cold": [(None, 2, SECOND, 11.146, 7.511), (LANGUAGE, 2, SECOND, 12.895, 1.065)],
    "pp2-warm": [(None, 2, SECOND, 0.090, 0.063), (LANGUAGE, 2, FIRST, 1.290, 0.123)],
}


@pytest.mark.parametrize("name", SKEW)
def test_how_far_apart_the_ranks_are(name: str) -> None:
    rows = answer(gpu_ledger(name), "rank_skew")
    assert [row[1:6] for row in rows] == SKEW[name]
