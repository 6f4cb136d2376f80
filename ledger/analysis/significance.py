"""Whether one set of times stands out of another: a permutation test, and Holm's correction for several.

The statistic is by how much the mean rank of one set's faster half is above that of the other's. Ranks of the
faster half, since what else goes on at a machine makes start-ups slower and never faster: of equal ones, some
take twice as long as most. A test of all ranks, of means or of medians loses what is small in what is slow;
this one does not see what slows down fewer than half of the start-ups.

The test is by permutation, `scipy.stats.permutation_test`: were both sets of one kind, every choice of as
many out of all times would be as likely to be the first set. This assumes nothing of how times are spread.
Holm's correction (1979) keeps the chance of even one false call among several tests at ALPHA, whatever they
have to do with each other: the rows of one start-up lie within one another.
"""

from collections.abc import Sequence
from math import comb
from typing import Any, Final, NamedTuple

from ledger.errors import MissingExtra

ALPHA: Final = 0.05
"""The chance of calling anything different that is not, over all tests of a family."""
_CHOICES: Final = 9_999
"""All choices are looked at where there are no more, and else so many of them, always the same ones."""
_SEED: Final = 0
_LEAST: Final = 2
"""What the test takes on each side."""


class Found(NamedTuple):
    """What a test found."""

    p: float
    direction: int
    """1 where the second set is above the first, by what is tested; -1 where it is below."""


def permutation_test(a: Sequence[int], b: Sequence[int]) -> Found:
    """Hold a set of numbers against another: two-sided; equal numbers share their ranks.

    The order within a set does not matter, and to exchange the sets only turns the direction. Raises
    ValueError where a set has fewer than two, and MissingExtra without scipy.
    """
    first, second = sorted((sorted(a), sorted(b)))
    stats: Any = _stats()
    ranks = stats.rankdata([*first, *second])
    tested = stats.permutation_test(
        (ranks[: len(first)], ranks[len(first) :]),
        _apart,
        n_resamples=_CHOICES,
        vectorized=True,
        rng=_SEED,
    )
    apart = float(tested.statistic)
    direction = (apart > 0) - (apart < 0)
    return Found(float(tested.pvalue), direction if first == sorted(a) else -direction)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order: each is to be compared with ALPHA."""
    corrected = list(p_values)
    highest = 0.0
    for place, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = min(1.0, max(highest, (len(p_values) - place) * p_values[i]))
        corrected[i] = highest
    return corrected


def has_power(a_count: int, b_count: int, test_count: int) -> bool:
    """Return whether so many numbers can show any difference in one of so many tests, however large it is."""
    if min(a_count, b_count) < _LEAST:
        return False
    # Of all choices a single one is the farthest out on a side: that of all the lowest, or all the highest.
    return test_count * 2 / comb(a_count + b_count, a_count) <= ALPHA


def needed_per_side(test_count: int) -> int:
    """Return how many numbers each side needs at least for one of so many tests to show a difference."""
    count = 1
    while not has_power(count, count, test_count):
        count += 1
    return count


def _apart(a: Any, b: Any, axis: int) -> Any:
    return _of_faster_half(b, axis) - _of_faster_half(a, axis)


def _of_faster_half(ranks: Any, axis: int) -> Any:
    import numpy

    half = range((ranks.shape[axis] + 1) // 2)
    return numpy.sort(ranks, axis=axis).take(half, axis=axis).mean(axis=axis)


def _stats() -> object:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtra(
            'to tell a difference from chance takes scipy: pip install "compile-ledger[stats]"'
        ) from None
    return stats
