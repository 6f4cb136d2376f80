"""Whether starts became slower with other versions, by the statistic of `diff`.

It is that of `ledger.analysis.comparison`. Compared are starts of one label, model and state of the caches
with some versions and with the versions before, in the order in which the fleet first had them.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple

from ledger.analysis.comparison import Difference, compare_times

Row = Mapping[str, object]

_MAX_TESTED: Final = 200
"""Changes of versions that are tested. Each weakens the others: of more than 250 none could be found, since
no test has a smaller p than 2 in 10,000."""
_NS_PER_S: Final = 1e9


class _Change(NamedTuple):
    label: str | None
    model: str | None
    cache: str | None
    before: str
    after: str


def regressions(samples: Iterable[Row]) -> Iterator[Row]:
    """Yield a row for each change of versions, from the rows of the query `regressions`, real changes first.

    `is_real` is 1 where it is no chance and large enough to matter, 0 where not, None where there are too few
    starts to tell, or more changes than are tested; `p` is corrected for the number of tests. Raises
    MissingExtra without numpy.
    """
    found = compare_times(_pairs(samples), _MAX_TESTED)
    for change, difference in sorted(found.items(), key=_by_worth):
        a, b = difference.a, difference.b
        yield {
            **change._asdict(),
            "starts_before": a.sessions,
            "starts_after": b.sessions,
            "median_before": a.median_ns / _NS_PER_S,
            "median_after": b.median_ns / _NS_PER_S,
            "difference": difference.ns / _NS_PER_S,
            "verdict": difference.verdict,
            "is_real": None if difference.is_real is None else int(difference.is_real),
            "p": difference.p,
        }


def _pairs(samples: Iterable[Row]) -> dict[_Change, tuple[list[int], list[int]]]:
    """Return the times of both sides of each change; the samples come by group and versions, in order."""

    def group(row: Row) -> tuple[Any, Any, Any]:
        return row["label"], row["model"], row["cache"]

    pairs: dict[_Change, tuple[list[int], list[int]]] = {}
    for key, rows in groupby(samples, group):
        times = [
            (str(versions), [int(str(row["ready_ns"])) for row in of_versions])
            for versions, of_versions in groupby(rows, lambda row: row["versions"])
        ]
        for (before, a), (after, b) in pairwise(times):
            pairs[_Change(*key, before, after)] = (a, b)
    return pairs


def _by_worth(row: tuple[_Change, Difference]) -> tuple[bool, int, tuple[str, ...]]:
    change, difference = row
    return not difference.is_real, -abs(difference.ns), tuple(name or "" for name in change)
