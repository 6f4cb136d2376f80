"""Between which stages a piece of a log's interval lies."""

from ledger import reduce
from ledger.testing import SessionBuilder
from ledger.vocabulary import Source

Span = tuple[str, int, int]


def between(*spans: Span, source: Source = "log") -> list[tuple[str | None, str | None, str | None]]:
    """Stage, what comes before and what after, of each piece of one process's intervals."""
    builder = SessionBuilder("s")
    builder.begin()
    moments = [(start, 1, name, at) for at, (name, start, _) in enumerate(spans)]
    moments += [(stop, 0, name, at) for at, (name, _, stop) in enumerate(spans)]
    open_intervals: dict[int, int] = {}
    for at_ns, is_start, name, at in sorted(moments):
        if is_start:
            open_intervals[at] = builder.start(at_ns, name, source=source)
        else:
            builder.stop(at_ns, open_intervals[at])
    timeline = reduce(builder.events)
    return [(one.stage, one.after_stage, one.before_stage) for one in timeline.startup_breakdown]


WHOLE: Span = ("engine_init", 0, 100)
FIRST: Span = ("first_run", 10, 30)
SECOND: Span = ("graph_capture", 50, 60)


def test_a_remainder_lies_between_the_parts_around_it_and_the_last_one_before_the_end() -> None:
    assert between(WHOLE, FIRST, SECOND) == [
        ("engine_init", None, "first_run"),
        ("first_run", None, None),
        ("engine_init", "first_run", "graph_capture"),
        ("graph_capture", None, None),
        ("engine_init", "graph_capture", "engine_init"),
    ]


def test_an_interval_without_parts_is_one_piece_that_lies_between_nothing() -> None:
    assert between(WHOLE) == [("engine_init", None, None)]


def test_what_lies_outside_is_no_neighbour() -> None:
    outside: Span = ("model_load", 100, 110)
    assert between(WHOLE, FIRST, outside)[2:] == [
        ("engine_init", "first_run", "engine_init"),
        ("model_load", None, None),
    ]


def test_of_what_was_recorded_only_time_in_no_interval_has_neighbours() -> None:
    found = between(WHOLE, FIRST, ("model_load", 120, 130), source="engine")
    assert found == [
        ("engine_init", None, None),
        ("first_run", None, None),
        ("engine_init", None, None),
        (None, "engine_init", "model_load"),
        ("model_load", None, None),
    ]
