"""Whether two sets of times really differ: a permutation test, and Holm's correction for several tests.

The statistic is the difference between the mean ranks of the two sets' faster halves. Only the faster halves,
since other load on a machine makes start-ups slower and never faster: of identical start-ups, some take twice
as long as most. A test on all ranks, means or medians would lose small differences among such outliers; this
one misses what slows down fewer than half of the start-ups.

It is a permutation test, `scipy.stats.permutation_test`: if both sets came from one distribution, every split
of all times into two sets of these sizes would be equally likely. Nothing is assumed about the distribution.
Holm's correction (1979) keeps the chance of even one false positive among several tests at ALPHA, however the
tests depend on each other: the rows of one start-up are parts of one another.
"""

from collections.abc import Sequence
from math import comb
from typing import Any, Final, NamedTuple

from ledger.errors import MissingExtra

ALPHA: Final = 0.05
"""The chance of any false positive, over all tests of a family."""
_RESAMPLES: Final = 9_999
"""Up to this many, all splits are tried; beyond it, this many of them, always the same ones."""
_SEED: Final = 0
_MIN_PER_SIDE: Final = 2
"""How many numbers the test needs on each side."""


class Found(NamedTuple):
    """The result of a test."""

    p: float
    direction: int
    """1 if the second set is above the first by the statistic, -1 if below, 0 if neither."""


def permutation_test(a: Sequence[int], b: Sequence[int]) -> Found:
    """Test whether two sets of numbers differ: two-sided; equal numbers share their ranks.

    The order within a set does not matter, and swapping the sets only reverses the direction. Raises
    ValueError if a set has fewer than two numbers, and MissingExtra without scipy.
    """
    first, second = sorted((sorted(a), sorted(b)))
    stats: Any = _stats()
    ranks = stats.rankdata([*first, *second])
    tested = stats.permutation_test(
        (ranks[: len(first)], ranks[len(first) :]),
        _statistic,
        n_resamples=_RESAMPLES,
        vectorized=True,
        rng=_SEED,
    )
    statistic = float(tested.statistic)
    direction = (statistic > 0) - (statistic < 0)
    return Found(float(tested.pvalue), direction if first == sorted(a) else -direction)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, in the same order, to be compared with ALPHA."""
    corrected = list(p_values)
    highest = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = min(1.0, max(highest, (len(p_values) - place) * p_values[i]))
        corrected[i] = highest
    return corrected


def has_power(a_count: int, b_count: int, test_count: int) -> bool:
    """Return whether sets of these sizes can show any difference at all in one of `test_count` tests."""
    if min(a_count, b_count) < _MIN_PER_SIDE:
        return False
    # The smallest possible p is that of the two most extreme splits: all the lowest, or all the highest.
    return test_count * 2 / comb(a_count + b_count, a_count) <= ALPHA


def needed_per_side(test_count: int) -> int:
    """Return how many numbers each side needs for one of `test_count` tests to show a difference."""
    count = 1
    while not has_power(count, count, test_count):
        count += 1
    return count


def _statistic(a: Any, b: Any, axis: int) -> Any:
    return _of_faster_half(b, axis) - _of_faster_half(a, axis)


def _of_faster_half(ranks: Any, axis: int) -> Any:
    import numpy

    half = range((ranks.shape[axis] + 1) // 2)
    return numpy.sort(ranks, axis=axis).take(half, axis=axis).mean(axis=axis)


def _stats() -> object:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtra.of("telling a difference from chance", "scipy", "stats") from None
    return stats
