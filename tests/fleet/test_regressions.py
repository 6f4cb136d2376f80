"""Changes of versions are judged by the statistic of `diff`, whatever the rows that SQL gives."""

import random

import pytest

from ledger.analysis.comparison import MIN_DIFFERENCE_NS, compare_times
from ledger.fleet.regressions import regressions

S = 10**9


def samples(
    label: str | None, versions: str, times_ns: list[int], cache: str | None = "warm"
) -> list[dict[str, object]]:
    return [
        {"label": label, "model": None, "cache": cache, "versions": versions, "ready_ns": ns}
        for ns in times_ns
    ]


def around(middle_ns: int, count: int, seed: int) -> list[int]:
    made = random.Random(seed)
    return [middle_ns + made.randrange(-S // 10, S // 10) for _ in range(count)]


def test_a_version_that_is_slower_is_real_and_one_that_is_not_is_none() -> None:
    rows = [
        *samples("a", "vllm 1", around(10 * S, 20, 1)),
        *samples("a", "vllm 2", around(12 * S, 20, 2)),
        *samples("b", "vllm 1", around(10 * S, 20, 3)),
        *samples("b", "vllm 2", around(10 * S, 20, 4)),
    ]
    slower, same = regressions(rows)
    assert (slower["label"], slower["before"], slower["after"]) == ("a", "vllm 1", "vllm 2")
    assert (slower["verdict"], slower["is_real"]) == ("slower", 1)
    assert slower["difference"] == pytest.approx(2, abs=0.2)
    assert isinstance(slower["p"], float)
    assert slower["p"] <= 0.05
    assert (same["label"], same["is_real"]) == ("b", 0)


def test_one_version_that_is_slower_is_found_in_every_label_of_a_large_fleet() -> None:
    rows = [
        row
        for label in range(40)
        for number in range(4)
        for row in samples(
            f"{label:02}", f"vllm {number}", around((12 if number > 1 else 10) * S, 20, 4 * label + number)
        )
    ]
    found = list(regressions(rows))
    assert len(found) == 120
    assert all(row["p"] is not None for row in found)
    assert {(row["before"], row["after"]) for row in found if row["is_real"]} == {("vllm 1", "vllm 2")}
    assert sum(row["is_real"] == 1 for row in found) == 40


def test_what_became_faster_is_said_as_well() -> None:
    (row,) = regressions([*samples(None, "2", around(9 * S, 9, 1)), *samples(None, "1", around(5 * S, 9, 2))])
    assert (row["label"], row["before"], row["after"], row["verdict"], row["is_real"]) == (
        None,
        "2",
        "1",
        "faster",
        1,
    )


def test_too_few_starts_are_not_judged() -> None:
    (row,) = regressions([*samples("a", "1", [10 * S]), *samples("a", "2", [20 * S])])
    assert (row["is_real"], row["p"], row["starts_before"], row["starts_after"]) == (None, None, 1, 1)


def test_cold_starts_are_not_compared_with_warm_ones_nor_labels_with_others() -> None:
    rows = [
        *samples("a", "1", around(60 * S, 9, 1), "cold"),
        *samples("a", "2", around(10 * S, 9, 2), "warm"),
        *samples("b", "3", around(10 * S, 9, 3), "warm"),
    ]
    assert list(regressions(rows)) == []


def test_each_versions_are_compared_with_those_before() -> None:
    rows = [
        row
        for number in range(4)
        for row in samples("a", str(number), around((10 + 2 * number) * S, 12, number))
    ]
    found = sorted((str(row["before"]), str(row["after"])) for row in regressions(rows))
    assert found == [("0", "1"), ("1", "2"), ("2", "3")]


def test_pairs_of_times_are_judged_together_and_an_empty_side_is_refused() -> None:
    pairs = {name: (around(10 * S, 20, 1), around(11 * S, 20, 2)) for name in ("a", "b", "c")}
    found = compare_times(pairs, max_tested=2)
    assert [difference.is_real for difference in found.values()] == [True, True, None]
    alone = compare_times({"a": pairs["a"]})["a"]
    assert alone.p is not None
    assert found["a"].p == pytest.approx(2 * alone.p)
    with pytest.raises(ValueError, match="at least one time"):
        compare_times({"a": ([1], [])})
    small = compare_times({"a": ([0] * 9, [MIN_DIFFERENCE_NS - 1] * 9)})["a"]
    assert small.is_real is False
