"""The tree of a start adds up, fits, and opens what takes longest."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ledger.reports.startup_tree import StageNode, TreeLine, stage_tree, tree_lines
from ledger.timeline.breakdown import stage_paths
from ledger.timeline.records import StartupPiece
from tests.support.recordings import recorded


def piece(path: str | None, ns: int, process: str = "p") -> StartupPiece:
    interval = None if path is None else 0
    nothing = (None, None, None, None, None, None, None)
    return StartupPiece("s", 0, 0, 0, ns, ns, process, interval, *nothing, path)


def lines(pieces: Sequence[StartupPiece], most: int = 20) -> list[tuple[int, str, int]]:
    total_ns = sum(one.duration_ns for one in pieces)
    shown = tree_lines(stage_tree(stage_paths(pieces), str.upper), total_ns, most)
    return [(line.depth, line.name, line.duration_ns) for line in shown]


def test_pieces_of_one_path_are_one_stage_and_stages_come_in_the_order_of_their_starts() -> None:
    tree = stage_tree(
        stage_paths([piece("b > c", 3), piece("a", 5), piece("b", 2), piece(None, 7)]), str.upper
    )
    assert [(node.name, node.process, node.duration_ns, node.own_ns) for node in tree] == [
        ("b", "P", 5, 2), ("a", "P", 5, 5)
    ]  # fmt: skip
    assert [(node.name, node.duration_ns) for node in tree[0].children] == [("c", 3)]


def test_stages_of_one_name_in_two_processes_are_two() -> None:
    tree = stage_tree(stage_paths([piece("a", 1, "p"), piece("a", 1, "q")]), str.upper)
    assert [(node.name, node.process) for node in tree] == [("a", "P"), ("a", "Q")]


def test_what_a_stage_has_beside_its_parts_is_the_rest() -> None:
    pieces = [piece("a > b", 40), piece("a > c", 30), piece("a", 20), piece("d", 10)]
    assert lines(pieces) == [
        (0, "a", 90), (1, "b", 40), (1, "c", 30), (1, "the rest", 20), (0, "d", 10)
    ]  # fmt: skip


def test_a_stage_that_is_nothing_but_another_one_shares_its_line() -> None:
    assert lines([piece("a > b > c > d", 60), piece("a > b > c > e", 40)]) == [
        (0, "a ▸ … ▸ c", 100), (1, "d", 60), (1, "e", 40)
    ]  # fmt: skip


def test_what_begins_a_role_ends_a_shared_line() -> None:
    assert lines([piece("a > b [encoder] > c > d", 60), piece("a > b [encoder] > c", 40)]) == [
        (0, "a ▸ b [encoder]", 100), (1, "d", 60), (1, "the rest", 40)
    ]  # fmt: skip


def test_small_stages_are_one_line_together() -> None:
    pieces = [piece("a", 950), *[piece(f"small {number}", 10) for number in range(5)]]
    assert lines(pieces) == [(0, "a", 950), (0, "other stages", 50)]


def test_where_there_is_no_room_for_all_the_longest_have_a_line() -> None:
    pieces = [piece(f"stage {number}", number) for number in range(1, 10)]
    assert lines(pieces, 4) == [
        (0, "stage 7", 7),
        (0, "stage 8", 8),
        (0, "stage 9", 9),
        (0, "other stages", 21),
    ]


def test_small_stages_give_their_lines_to_the_parts_of_the_longest() -> None:
    pieces = [piece("a > b", 400), piece("a > c", 300), piece("d", 40), piece("e", 45), piece("f", 215)]
    assert lines(pieces, 5) == [
        (0, "a", 700), (1, "b", 400), (1, "c", 300), (0, "f", 215), (0, "other stages", 85)
    ]  # fmt: skip


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" > ".join)
PIECES = st.lists(
    st.builds(piece, PATHS, st.integers(1, 10**10), st.sampled_from("pq")), min_size=1, max_size=40
)


def check(shown: Sequence[TreeLine], total_ns: int) -> None:
    """Lines of one depth under one line add up to it, but for what no eye sees."""
    unseen_ns = max(1, total_ns // 1000)
    assert 0 <= total_ns - sum(line.duration_ns for line in shown if not line.depth) < max(2, unseen_ns)
    for place, line in enumerate(shown):
        inside = 0
        for following in shown[place + 1 :]:
            if following.depth <= line.depth:
                break
            if following.depth == line.depth + 1:
                inside += following.duration_ns
        assert not inside or 0 <= line.duration_ns - inside < max(2, unseen_ns)


@given(PIECES, st.integers(4, 30))
def test_a_tree_adds_up_and_fits(pieces: list[StartupPiece], most: int) -> None:
    total_ns = sum(one.duration_ns for one in pieces)
    tree: list[StageNode] = stage_tree(stage_paths(pieces), str)
    shown = tree_lines(tree, total_ns, most)
    assert len(shown) <= most
    check(shown, total_ns)


def test_the_trees_of_real_starts_add_up() -> None:
    for name in ("demo", "vllm"):
        ledger = recorded(name)
        for session in ledger.sessions():
            timeline = ledger.timeline(session)
            window = timeline.startup_windows[0]
            pieces = [one for one in timeline.startup_breakdown if one.window == 0]
            charged_ns = window.duration_ns - window.unattributed_ns
            check(tree_lines(stage_tree(stage_paths(pieces), str), charged_ns, 12), charged_ns)
