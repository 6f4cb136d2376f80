"""What stands out, held against the plain way of finding it: to look at every choice."""

import sys
from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import mannwhitneyu, rankdata

from ledger.analysis.significance import ALPHA, has_power, holm, needed_per_side, permutation_test
from ledger.errors import MissingExtra

NUMBERS = st.lists(st.integers(0, 8), min_size=2, max_size=5)


def half_apart(a: list[float], b: list[float]) -> float:
    """The statistic as it is defined: the difference of the mean ranks of the faster halves."""
    halves = [sorted(side)[: (len(side) + 1) // 2] for side in (a, b)]
    return sum(halves[0]) / len(halves[0]) - sum(halves[1]) / len(halves[1])


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_p_is_twice_the_share_of_the_choices_that_lie_as_far_to_that_side(a: list[int], b: list[int]) -> None:
    ranks = rankdata([*a, *b]).tolist()
    seen = half_apart(ranks[: len(a)], ranks[len(a) :])
    below = above = 0
    for chosen in combinations(range(len(ranks)), len(a)):
        rest = [rank for place, rank in enumerate(ranks) if place not in chosen]
        apart = half_apart([ranks[place] for place in chosen], rest)
        below += apart <= seen + 1e-9
        above += apart >= seen - 1e-9
    found = permutation_test(a, b)
    assert found.p == pytest.approx(min(1, 2 * min(below, above) / comb(len(ranks), len(a))))
    assert found.direction == (seen < -1e-9) - (seen > 1e-9)


def by_scipy(a: Sequence[int], b: Sequence[int]) -> float:
    """Return the p-value of scipy's permutation test, by the same statistic in whole numbers."""
    first, second = sorted((sorted(a), sorted(b)))
    ranks = (2 * rankdata([*first, *second])).astype(int)
    halves = [(len(side) + 1) // 2 for side in (first, second)]

    def apart(a: Any, b: Any, axis: int) -> Any:
        sums = [
            numpy.sort(side, axis=axis).take(range(half), axis=axis).sum(axis=axis)
            for side, half in zip((a, b), halves, strict=True)
        ]
        return halves[0] * sums[1] - halves[1] * sums[0]

    sides = ranks[: len(first)], ranks[len(first) :]
    tested = stats.permutation_test(sides, apart, n_resamples=9_999, vectorized=True, rng=0)
    return float(tested.pvalue)


@settings(deadline=None, max_examples=25)
@given(*[st.lists(st.integers(0, 2**62) | st.integers(0, 30), min_size=2, max_size=30)] * 2)
def test_p_is_that_of_scipy_whether_all_splits_are_tried_or_some(a: list[int], b: list[int]) -> None:
    assert permutation_test(a, b).p == by_scipy(a, b)


@pytest.mark.parametrize("count", [4, 20])
def test_splits_are_looked_at_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    a, b = range(0, 2 * count, 2), range(3, 2 * count + 3, 2)
    whole = permutation_test(a, b)
    assert 0 < whole.p < 1
    for numbers in (1, 7 * count):
        monkeypatch.setattr("ledger.analysis.significance._NUMBERS_AT_ONCE", numbers)
        assert permutation_test(a, b) == whole


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_order_does_not_matter_and_to_exchange_the_sets_turns_the_direction(
    a: list[int], b: list[int]
) -> None:
    found = permutation_test(a, b)
    assert permutation_test(sorted(a), sorted(b, reverse=True)) == found
    assert permutation_test(b, a) == (found.p, -found.direction)


@settings(deadline=None)
@given(NUMBERS)
def test_a_set_does_not_stand_out_of_itself(numbers: list[int]) -> None:
    assert permutation_test(numbers, numbers) == (1.0, 0)


def test_what_is_held_up_hides_no_shift_of_the_others() -> None:
    a, b = range(10), range(10, 20)
    # Of 184,756 choices 9,999 are looked at, and what was seen.
    assert permutation_test(a, b) == (2 / 10_000, 1)
    held_up = permutation_test([*a[:7], 97, 98, 99], [*b[:7], 90, 91, 92])
    assert held_up.p <= ALPHA
    assert held_up.direction == 1
    assert mannwhitneyu([*a[:7], 97, 98, 99], [*b[:7], 90, 91, 92], method="exact").pvalue > ALPHA


def test_without_numpy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(MissingExtra, match=r"compile-ledger\[stats\]"):
        permutation_test([1, 2], [3, 4])


def test_a_set_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="2 numbers or more"):
        permutation_test([3], [1, 2])


def test_holm_corrects_the_smallest_for_all_tests_the_next_for_all_but_one() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.7]) == [1, 1]
    assert holm([]) == []


@pytest.mark.parametrize("tests", [1, 2, 6, 7, 40])
def test_so_many_are_needed_that_sets_with_nothing_in_common_are_told_apart(tests: int) -> None:
    needed = needed_per_side(tests)
    for count, is_enough in ((needed, True), (needed - 1, False)):
        apart = permutation_test(range(count), range(count, 2 * count))
        assert (tests * apart.p <= ALPHA) == is_enough == has_power(count, count, tests)


def test_how_many_are_needed_of_each_side_for_one_row_and_for_six() -> None:
    assert (needed_per_side(1), needed_per_side(6)) == (4, 5)
    assert has_power(3, 10, 6)
    assert not has_power(1, 30, 2)
