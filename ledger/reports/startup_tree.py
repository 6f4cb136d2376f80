"""The time from the command to ready as a tree of stages that adds up, and what of it fits a screen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.timeline.breakdown import PATH_SEPARATOR
from ledger.timeline.records import StartupPiece

_SHOWN_SHARE: Final = 0.02
"""A stage with a smaller part of the start has no line of its own."""
_INSIDE: Final = " ▸ "


@dataclass(slots=True)
class StageNode:
    """A stage of one process, and what of the start is charged to it and to the stages inside it."""

    name: str
    process: str | None
    """The process's name; None where there was none."""
    duration_ns: int = 0
    children: list["StageNode"] = field(default_factory=list["StageNode"])
    """In the order of their starts. What they leave of its duration is its own."""

    @property
    def own_ns(self) -> int:
        """What is charged to none of the stages inside it."""
        return self.duration_ns - sum(child.duration_ns for child in self.children)


class TreeLine(NamedTuple):
    """A line of the tree as it is shown: a stage, or several that are too small for a line each."""

    name: str
    process: str | None
    depth: int
    is_last: bool
    """Whether it is the last one of what encloses it."""
    duration_ns: int


def stage_tree(pieces: Iterable[StartupPiece], names: Callable[[str], str]) -> list[StageNode]:
    """Return the outermost stages of a window's pieces, in the order of their starts.

    The pieces in no stage are left out.
    """
    found: dict[tuple[str | None, tuple[str, ...]], StageNode] = {}
    outermost: list[StageNode] = []
    for piece in pieces:
        if piece.path is None:
            continue
        process = None if piece.process is None else names(piece.process)
        stages = tuple(piece.path.split(PATH_SEPARATOR))
        siblings = outermost
        for length in range(1, len(stages) + 1):
            node = found.get((process, stages[:length]))
            if node is None:
                node = found[process, stages[:length]] = StageNode(stages[length - 1], process)
                siblings.append(node)
            node.duration_ns += piece.duration_ns
            siblings = node.children
    return outermost


def tree_lines(nodes: Sequence[StageNode], total_ns: int, most: int) -> list[TreeLine]:
    """Return at most so many lines, three at least: those of one depth add up to what encloses them.

    What takes longest is opened first, the outer before the inner ones.
    """
    smallest_ns = max(1, round(total_ns * _SHOWN_SHARE))
    longest = sorted((node.duration_ns for node in nodes), reverse=True)
    room = max(2, most - 1)
    outermost_ns = max(smallest_ns, longest[room - 1]) if len(longest) > room else smallest_ns
    view = _View(smallest_ns, outermost_ns, max(1, total_ns // 1000))
    lines = list(view.lines(nodes))
    candidates = [(node, 1) for node in nodes]
    while candidates:
        node, depth = max(candidates, key=lambda one: one[0].duration_ns / one[1])
        candidates.remove((node, depth))
        inside = [child for child in node.children if child.duration_ns >= smallest_ns]
        if not inside:
            continue
        view.opened.add(id(node))
        more = list(view.lines(nodes))
        if len(more) > most:
            view.opened.remove(id(node))
            continue
        lines = more
        candidates += [(child, depth + 1) for child in inside]
    return lines


def begins_role(name: str) -> bool:
    """Whether a stage of a path has a role that what is around it has not."""
    return name.endswith("]")


@dataclass(slots=True)
class _View:
    """Which stages are open, and from which duration on a stage has a line."""

    smallest_ns: int
    smallest_outermost_ns: int
    smallest_rest_ns: int
    """What is left of a stage and is less than this is rounding, to the eye."""
    opened: set[int] = field(default_factory=set[int])

    def lines(self, nodes: Sequence[StageNode], depth: int = 0, own_ns: int = 0) -> Iterator[TreeLine]:
        smallest_ns = self.smallest_ns if depth else self.smallest_outermost_ns
        shown = [node for node in nodes if node.duration_ns >= smallest_ns]
        rest_ns = own_ns + sum(node.duration_ns for node in nodes if node.duration_ns < smallest_ns)
        for node in shown:
            names, inner = [node.name], node
            # A stage that is hardly more than another one shares its line.
            while id(inner) in self.opened and (only := self._as_good_as(inner)) is not None:
                if not begins_role(names[-1]):
                    names.append(only.name)
                inner = only
            name = _INSIDE.join(names if len(names) < 3 else (names[0], "…", names[-1]))
            is_last = node is shown[-1] and rest_ns < self.smallest_rest_ns
            yield TreeLine(name, node.process, depth, is_last, node.duration_ns)
            if id(inner) in self.opened:
                # What a shared line has beyond its innermost stage is too small to be missed.
                own = node.duration_ns - sum(child.duration_ns for child in inner.children)
                yield from self.lines(inner.children, depth + 1, own)
        if rest_ns >= self.smallest_rest_ns:
            yield TreeLine("the rest" if depth else "other stages", None, depth, True, rest_ns)

    def _as_good_as(self, node: StageNode) -> StageNode | None:
        largest = max(node.children, key=lambda child: child.duration_ns)
        return None if node.duration_ns - largest.duration_ns >= self.smallest_ns else largest
