"""Whether two sets of times really differ: a permutation test, and Holm's correction for several tests.

The statistic is the difference between the mean ranks of the two sets' faster halves. Only the faster halves,
since other load on a machine makes start-ups slower and never faster: of identical start-ups, some take twice
as long as most. A test on all ranks, means or medians would lose small differences among such outliers; this
one misses what slows down fewer than half of the start-ups.

It is a permutation test: if both sets came from one distribution, every split of all times into two sets of
these sizes would be equally likely. Nothing is assumed about the distribution. It finds what
`scipy.stats.permutation_test` finds, to which the tests hold it: importing that takes longer than all else
that a comparison does.

Holm's correction (1979) keeps the chance of even one false positive among several tests at ALPHA, however the
tests depend on each other: the rows of one start-up are parts of one another.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations, islice
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
_NUMBERS_AT_ONCE: Final = 1_000_000
"""In the splits that are looked at together: 8 MB."""


class Found(NamedTuple):
    """The result of a test."""

    p: float
    direction: int
    """1 if the second set is above the first by the statistic, -1 if below, 0 if neither."""


def permutation_test(a: Sequence[int], b: Sequence[int]) -> Found:
    """Test whether two sets of numbers differ: two-sided; equal numbers share their ranks.

    The order within a set does not matter, and swapping the sets only reverses the direction. Raises
    ValueError if a set has fewer than two numbers, and MissingExtra without numpy.
    """
    if min(len(a), len(b)) < _MIN_PER_SIDE:
        raise ValueError(f"a set needs {_MIN_PER_SIDE} numbers or more")
    first, second = sorted((sorted(a), sorted(b)))
    numpy = _numpy()
    ranks = _doubled_ranks(numpy, [*first, *second])
    count = len(first)
    seen = int(_statistic(numpy, ranks[None], count)[0])
    splits = comb(len(ranks), count)
    is_exact = splits <= _RESAMPLES
    below = above = 0
    for places in _all_splits(len(ranks), count) if is_exact else _some_splits(len(ranks)):
        found = _statistic(numpy, ranks[places], count)
        below += int((found <= seen).sum())
        above += int((found >= seen).sum())
    # What was seen is a split too: it is among all, and is added to those that were drawn.
    p = 2 * min(below, above) / splits if is_exact else 2 * (min(below, above) + 1) / (_RESAMPLES + 1)
    direction = (seen > 0) - (seen < 0)
    return Found(min(1.0, p), direction if first == sorted(a) else -direction)


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


def _doubled_ranks(numpy: Any, numbers: Sequence[int]) -> Any:
    """Return twice the rank of each number, which is whole where equal numbers share theirs."""
    _, group, sizes = numpy.unique(
        numpy.asarray(numbers, dtype=object), return_inverse=True, return_counts=True
    )
    last = sizes.cumsum()
    return (2 * last - sizes + 1)[group]


def _statistic(numpy: Any, ranks: Any, count: int) -> Any:
    """Return how far the faster half of the second set is above that of the first, in a split each row.

    A row has the doubled ranks of the first set, `count` of them, and then those of the second. What is
    returned are the differences of the means times a number that is the same for all: whole, thus exact.
    """
    sum_a, half_a = _faster_half(numpy, ranks[:, :count])
    sum_b, half_b = _faster_half(numpy, ranks[:, count:])
    return half_a * sum_b - half_b * sum_a


def _faster_half(numpy: Any, ranks: Any) -> tuple[Any, int]:
    """Return the sum of the faster half of each row, and how many that are."""
    half = (ranks.shape[1] + 1) // 2
    return numpy.partition(ranks, half - 1, axis=1)[:, :half].sum(axis=1), half


def _all_splits(total: int, count: int) -> Iterator[Any]:
    """Yield the places of the first set and then those of the second, for every way to choose them.

    They come as arrays, a split each row.
    """
    everywhere = frozenset(range(total))
    return _batches([*chosen, *everywhere.difference(chosen)] for chosen in combinations(range(total), count))


def _some_splits(total: int) -> Iterator[Any]:
    if total * _RESAMPLES <= _NUMBERS_AT_ONCE:
        return iter([_kept_splits(total)])
    return _batches(_drawn_splits(total))


@lru_cache(maxsize=1)
def _kept_splits(total: int) -> Any:
    """Return all that are drawn for so many numbers: to draw them takes most of the time of a test."""
    [splits] = _batches(_drawn_splits(total))
    return splits


def _drawn_splits(total: int) -> Iterator[Any]:
    random: Any = _numpy().random.default_rng(_SEED)
    return (random.permutation(total) for _ in range(_RESAMPLES))


def _batches(splits: Iterator[Any]) -> Iterator[Any]:
    numpy: Any = _numpy()
    for first in splits:
        yield numpy.array([first, *islice(splits, max(0, _NUMBERS_AT_ONCE // len(first) - 1))])


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise MissingExtra.of("telling a difference from chance", "numpy", "stats") from None
    return numpy
