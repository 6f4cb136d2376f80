"""The time from the command to ready as a tree of stages that adds up, and what of it fits a screen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.timeline.breakdown import PATH_SEPARATOR, StagePath

_SHOWN_SHARE: Final = 0.02
"""A stage with a smaller part of the start has no line of its own."""
_SMALL_SHARE: Final = 0.05
"""One with less than this may lose its line, where the longest stage could not be opened otherwise."""
INSIDE: Final = " ▸ "
"""Stands between stages that share a line."""


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


def stage_tree(paths: Iterable[StagePath], names: Callable[[str], str]) -> list[StageNode]:
    """Return the outermost stages of a window; in the order of their starts, if the paths come in that."""
    found: dict[tuple[str | None, tuple[str, ...]], StageNode] = {}
    outermost: list[StageNode] = []
    for process_id, path, duration_ns in paths:
        process = None if process_id is None else names(process_id)
        stages = tuple(path.split(PATH_SEPARATOR))
        siblings = outermost
        for length in range(1, len(stages) + 1):
            node = found.get((process, stages[:length]))
            if node is None:
                node = found[process, stages[:length]] = StageNode(stages[length - 1], process)
                siblings.append(node)
            node.duration_ns += duration_ns
            siblings = node.children
    return outermost


def tree_lines(nodes: Sequence[StageNode], total_ns: int, most: int) -> list[TreeLine]:
    """Return at most so many lines, three at least: those of one depth add up to what encloses them.

    What takes longest is opened first, the outer before the inner ones. Where there is no room to open the
    longest stage of all, small ones are put together in one line for it.
    """
    smallest_ns = max(1, round(total_ns * _SHOWN_SHARE))
    durations = sorted((node.duration_ns for node in nodes), reverse=True)
    room = max(2, most - 1)
    outermost_ns = max(smallest_ns, durations[room - 1]) if len(durations) > room else smallest_ns
    small_ns = total_ns * _SMALL_SHARE
    found: list[list[TreeLine]] = []
    longer_ns = (ns + 1 for ns in reversed(durations) if outermost_ns <= ns < small_ns)
    for at_least_ns in (outermost_ns, *longer_ns):
        view = _View(smallest_ns, at_least_ns, max(1, total_ns // 1000))
        found.append(view.opened_until(nodes, most))
        longest = max(nodes, key=lambda node: node.duration_ns, default=None)
        if longest is None or view.is_open(longest):
            return found[-1]
    return found[0]


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

    def can_open(self, node: StageNode) -> bool:
        """Whether anything inside of a stage is large enough for a line."""
        return any(child.duration_ns >= self.smallest_ns for child in node.children)

    def is_open(self, node: StageNode) -> bool:
        """Whether a stage has lines for what is inside, or nothing inside that could have one."""
        while id(node) in self.opened and (only := self._as_good_as(node)) is not None:
            node = only
        return id(node) in self.opened or not self.can_open(node)

    def opened_until(self, nodes: Sequence[StageNode], most: int) -> list[TreeLine]:
        """Open what there is room for, and return the lines."""
        lines = list(self.lines(nodes))
        # Most stages are too small to open: of thousands, only a few are ever looked at again.
        candidates = [(node, 1) for node in nodes if self.can_open(node)]
        while candidates:
            node, depth = max(candidates, key=lambda one: one[0].duration_ns / one[1])
            candidates.remove((node, depth))
            self.opened.add(id(node))
            more = list(self.lines(nodes))
            if len(more) > most:
                self.opened.remove(id(node))
                continue
            lines = more
            candidates += [(child, depth + 1) for child in node.children if self.can_open(child)]
        return lines

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
            name = INSIDE.join(names if len(names) < 3 else (names[0], "…", names[-1]))
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
