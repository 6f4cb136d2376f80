"""What a claim's `data` says is read by type; what is malformed is left out and never raises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import reduce
from ledger.testing import SessionBuilder
from ledger.timeline.claim_data import ClaimData, IncludedLengths, claim_data
from ledger.timeline.records import Claim

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=3),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=6,
)
KEYS = ("intervals", "accumulator", "parts", "range", "clock", "adds_up", "within")


def claim_with(data: dict[str, Any] | None) -> Claim:
    builder = SessionBuilder()
    builder.claim(1, 1, source="user", data=data)
    return reduce(builder.events).claims[0]


def test_every_key_has_its_field() -> None:
    data = {
        "intervals": [3, 1, 3],
        "accumulator": "compilation_time",
        "parts": [4, 4],
        "range": "(1, 2048)",
        "clock": "wall",
        "adds_up": {"torch_compile": 2},
        "within": [[3, 5, 7]],
        "anything": "else",
    }
    assert claim_data(claim_with(data)) == ClaimData(
        (3, 1),
        "compilation_time",
        (4,),
        "(1, 2048)",
        True,
        {"torch_compile": 2},
        (IncludedLengths(3, (5, 7)),),
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, ClaimData()),
        ({}, ClaimData()),
        (
            {
                "intervals": 3,
                "accumulator": None,
                "parts": 5,
                "clock": "monotonic",
                "adds_up": [],
                "within": 4,
            },
            ClaimData(),
        ),
        ({"intervals": [True, "1", 2.0, [3], 4]}, ClaimData(intervals=(4,))),
        ({"range": 2048, "accumulator": 1}, ClaimData(accumulator="1", range="2048")),
        ({"adds_up": {"a": True, "b": "1", "c": 0, "d": -1}}, ClaimData(adds_up={})),
        (
            {"within": [[], 5, "x", [True, 5], [None], [1], [2, 0, -3, False, "7", 8]]},
            ClaimData(within=(IncludedLengths(1, ()), IncludedLengths(2, (8,)))),
        ),
    ],
)
def test_what_is_malformed_is_left_out(data: dict[str, Any] | None, expected: ClaimData) -> None:
    assert claim_data(claim_with(data)) == expected


def test_a_text_that_is_no_json_object_says_nothing() -> None:
    for text in ("[1]", "7", '{"intervals": [1', "9" * 10_000):
        assert claim_data(claim_with({"range": "x"})._replace(data_json=text)) == ClaimData()


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)))
def test_whatever_it_says_nothing_raises(data: dict[str, Any]) -> None:
    found = claim_data(claim_with(data))
    assert all(type(number) is int for number in found.intervals)
    assert all(number > 0 for number in (found.adds_up or {}).values())
    assert all(length_ns > 0 for each in found.within for length_ns in each.lengths_ns)
