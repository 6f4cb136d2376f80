"""Random sessions with causes planted in them: each plant knows what it expects of the claims that it spoils.

A session has some workers, and each worker two accumulators, the language model's and the encoder's, each
with compiles of its own, of random lengths and in random nesting. In the end the workers say what they hold,
and the engine says the maximum over its workers; then it is ready, and something may be late.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import assume
from hypothesis import strategies as st

from ledger import Timeline, reduce
from ledger.testing import SessionBuilder
from ledger.vocabulary import Outcome
from tests.support.reconciled import CENT, DRAFTER, ENCODER, LANGUAGE, MS, S, merged

LENGTHS: Final = st.integers(20 * MS, 10 * S)
"""A length that no rounding hides."""
PAUSES: Final = st.one_of(st.just(0), LENGTHS)
MADE_UP: Final = st.integers(100_000 * S, 200_000 * S)
"""More than anything took: no number of another claim."""
STAGES: Final = st.sampled_from(["dynamo", "backend_compile", "graph_split", "graph_compile", "aot_save"])
PIECES: Final = st.sampled_from(["model_init", "weights_load", "model_load"])
RANGES: Final = st.sampled_from(["(1, 2048)", "(1, 1)", "dynamic shape"])

Known = dict[tuple[str, str | None], tuple[int, frozenset[tuple[str, int]]]]


class Shares:
    """What is expected of a claim's difference: by cause and stage, how much, and which intervals show it."""

    def __init__(self, *others: "Shares") -> None:
        self._ns: dict[tuple[str, str | None], int] = {}
        self._shown_by: dict[tuple[str, str | None], set[tuple[str, int]]] = {}
        for other in others:
            for (cause, stage), ns in other._ns.items():
                self.add(cause, stage, ns, other._shown_by[cause, stage])

    def add(self, cause: str, stage: str | None, ns: int, shown_by: Iterable[tuple[str, int]]) -> None:
        if ns:
            self._ns[cause, stage] = self._ns.get((cause, stage), 0) + ns
            self._shown_by.setdefault((cause, stage), set()).update(shown_by)

    @property
    def known(self) -> Known:
        return {part: (ns, frozenset(self._shown_by[part])) for part, ns in self._ns.items()}


@dataclass
class Node:
    """A stage that ran, and what ran inside of it."""

    key: tuple[str, int]
    stage: str
    start_ns: int
    is_named: bool
    """Whether it may name what is left out: torch's own stages don't."""
    stop_ns: int = 0
    own_ns: int = 0
    outcome: Outcome = "completed"
    inside: list["Node"] = field(default_factory=list["Node"])

    @property
    def length_ns(self) -> int:
        return self.stop_ns - self.start_ns

    def parts(self, but: "list[Node]", name: "Node | None" = None) -> "Iterator[tuple[Node, int]]":
        """What it consists of, but for some stages: the innermost ones with a name, and their own time."""
        if self not in but:
            name = self if self.is_named or name is None else name
            yield name, self.own_ns
            for node in self.inside:
                yield from node.parts(but, name)


class Accumulator:
    """What one worker holds of one role, and all that is wrong with it."""

    def __init__(self, draw: st.DrawFn, worker: SessionBuilder, part: dict[str, Any], name: str) -> None:
        self.draw = draw
        self.worker = worker
        self.part = part
        self.name = name
        self.at_ns = 0
        self.held_ns = 0
        self.numbers = 0
        """How many were added, each of them rounded."""
        self.claimed: dict[tuple[str, int], None] = {}
        self.took: dict[str, list[Node]] = {}
        """By role, what was compiled: the drafter's compiles are another role's."""
        self.of_role, self.of_all = Shares(), Shares()
        """What is expected of who says what this holds, and of who says what all roles took."""
        self.made_up_ns = 0
        self.claims: dict[tuple[str, int], Shares] = {}
        """What is expected of each line, and of each number that was added."""

    def wait(self, pauses: st.SearchStrategy[int] = PAUSES) -> int:
        ns = self.draw(pauses)
        self.at_ns += ns
        return ns

    def compile(self, part: dict[str, Any] | None = None, outcome: Outcome = "completed") -> Node:
        """A compile that the monitor times, with anything inside; it is added up by whoever plants it."""
        part = part or self.part
        self.wait()
        node = self._stage("torch_compile", "monitor", part, depth=2, outcome=outcome)
        self._took(node, part)
        if self.draw(st.booleans()):
            self._print(node)
        return node

    def begin(self, stage: str, source: Any, part: dict[str, Any]) -> Node:
        interval = self.worker.start(self.at_ns, stage, source=source, thread=self.name, **part)
        return Node((self.worker.process, interval), stage, self.at_ns, is_named=source != "torch")

    def end(self, node: Node, outcome: Outcome = "completed") -> None:
        node.stop_ns, node.outcome = self.at_ns, outcome
        self.worker.stop(self.at_ns, node.key[1], outcome)

    def compile_ranges(self) -> tuple[Node, list[tuple[str, Node]]]:
        """A compile of graphs for several ranges, with nothing between two graphs of the same one."""
        self.wait()
        compiling = self.begin("torch_compile", "monitor", self.part)
        compiling.own_ns += self.wait()
        graphs: list[tuple[str, Node]] = []
        for range_ in self.draw(st.lists(RANGES, min_size=2, max_size=6)):
            if graphs and graphs[-1][0] != range_:
                compiling.own_ns += self.wait()
            graph = self.begin("graph_compile", "backend", self.part)
            graph.own_ns = self.wait(LENGTHS)
            self.end(graph)
            graphs.append((range_, graph))
        compiling.own_ns += self.wait()
        self.end(compiling)
        compiling.inside += [graph for _, graph in graphs]
        self._took(compiling, self.part)
        return compiling, graphs

    def add(self, ns: int, nodes: list[Node], made_late: bool = False, **known: Any) -> Shares:
        """Add a number, in the moment that what it speaks of is over; return what is expected of it alone."""
        ids = [node.key[1] for node in nodes]
        data = {"accumulator": self.name, **known.pop("data", {})}
        if len(ids) > 1:
            data["intervals"] = ids
        known = {"source": "monitor", "stage": nodes[0].stage, **self.part, **known}
        claim = self.worker.claim(
            nodes[-1].stop_ns, ns, counts="addition", interval=ids[0] if len(ids) == 1 else None,
            data=data, **known,
        )  # fmt: skip
        if not made_late:
            self.held_ns += ns
            self.numbers += 1
            self.claimed.update((node.key, None) for node in nodes)
        return self.claims.setdefault((self.worker.process, claim), Shares())

    def expect(self, cause: str, stage: str, ns: int, *shown_by: Node) -> None:
        for shares in (self.of_role, self.of_all):
            shares.add(cause, stage, ns, [node.key for node in shown_by])

    def top_level(self, role: str | None) -> list[Node]:
        return [node for of, nodes in self.took.items() for node in nodes if role in (None, of)]

    def _stage(self, stage: str, source: Any, part: dict[str, Any], depth: int, outcome: Outcome) -> Node:
        node = self.begin(stage, source, part)
        node.own_ns += self.wait()
        for _ in range(self.draw(st.integers(0, 2)) if depth else 0):
            inside = self.draw(st.one_of(STAGES, st.just("torchs_own")))
            source_of = "torch" if inside == "torchs_own" else "backend"
            node.inside.append(self._stage(inside, source_of, part, depth - 1, "completed"))
            node.own_ns += self.wait()
        if not node.inside and not node.own_ns:
            node.own_ns += self.wait(LENGTHS)
        self.end(node, outcome)
        return node

    def _took(self, node: Node, part: dict[str, Any]) -> None:
        self.took.setdefault(part["role"], []).append(node)

    def _print(self, node: Node) -> None:
        printed_ns = round(node.length_ns, -7)
        claim = self.worker.claim(
            node.stop_ns, printed_ns, source="monitor", interval=node.key[1], resolution_ns=CENT,
            stage="torch_compile",
        )  # fmt: skip
        shares = self.claims.setdefault((self.worker.process, claim), Shares())
        shares.add("rounding", "torch_compile", printed_ns - node.length_ns, [node.key])


def some_of(draw: st.DrawFn, node: Node) -> list[Node]:
    """Some of what ran inside, none of it within another."""
    found: list[Node] = []
    for inside in node.inside:
        choice = draw(st.sampled_from(["it", "some of it", "nothing"]))
        if choice == "it" and inside.is_named:
            found.append(inside)
        elif choice == "some of it":
            found += some_of(draw, inside)
    return found


def nothing(held: Accumulator) -> None:
    """A compile that is added once, as it should be."""
    node = held.compile()
    held.add(node.length_ns, [node])


def omitted_stage(held: Accumulator) -> None:
    """Only some stages inside of a compile are added."""
    compiling = held.compile()
    counted = some_of(held.draw, compiling)
    for node in counted:
        held.add(node.length_ns, [node], source="backend")

    for node, ns in compiling.parts(but=counted):
        held.expect("omitted_stage", node.stage, -ns, node)


def added_twice(held: Accumulator) -> None:
    """A compile is added by the monitor, and by the backend once more."""
    node = held.compile()
    for source in ("monitor", "backend"):
        held.add(node.length_ns, [node], source=source)
    held.expect("double_counted", node.stage, node.length_ns, node)


def added_within(held: Accumulator) -> None:
    """The monitor adds a compile, and the backend stages inside of it."""
    compiling = held.compile()
    for node in some_of(held.draw, compiling):
        held.add(node.length_ns, [node], source="backend")
        held.expect("double_counted", node.stage, node.length_ns, node)
    held.add(compiling.length_ns, [compiling])


def overlapping_ranges(held: Accumulator) -> None:
    """Each range adds what its clock says, which runs from its first graph to its last one."""
    compiling, graphs = held.compile_ranges()
    clocks: dict[str, tuple[int, int]] = {}
    for range_ in dict.fromkeys(range_ for range_, _ in graphs):
        own = [graph for of, graph in graphs if of == range_]
        start_ns, stop_ns = clocks[range_] = (own[0].start_ns, own[-1].stop_ns)
        alone = held.add(stop_ns - start_ns, own, source="backend", data={"range": range_})
        others = [graph for of, graph in graphs if of != range_ and start_ns <= graph.start_ns < stop_ns]
        too_much_ns = stop_ns - start_ns - sum(graph.length_ns for graph in own)
        alone.add("overlapping_ranges", "graph_compile", too_much_ns, [graph.key for graph in others])

    def running(start_ns: int, stop_ns: int) -> int:
        return sum(start <= start_ns and stop_ns <= stop for start, stop in clocks.values())

    at_ns = compiling.start_ns
    shown_by: list[Node] = []
    for _, graph in graphs:
        clocks_running = running(graph.start_ns, graph.stop_ns)
        if clocks_running > 1:
            shown_by.append(graph)
            held.expect("overlapping_ranges", graph.stage, (clocks_running - 1) * graph.length_ns, graph)
    for graph in [*(graph for _, graph in graphs), None]:
        until_ns = compiling.stop_ns if graph is None else graph.start_ns
        excess = running(at_ns, until_ns) - 1
        if excess < 0:
            held.expect("omitted_stage", compiling.stage, at_ns - until_ns, compiling)
        else:
            held.expect("overlapping_ranges", "graph_compile", excess * (until_ns - at_ns), *shown_by)
        at_ns = compiling.stop_ns if graph is None else graph.stop_ns


def role_lumping(held: Accumulator) -> None:
    """A drafter's compile is added to what the language model took."""
    node = held.compile(DRAFTER)
    held.add(node.length_ns, [node], **DRAFTER)
    held.of_role.add("role_lumping", node.stage, node.length_ns, [node.key])


def drafter_added_twice(held: Accumulator) -> None:
    """Of two causes that hold, the first of the list is it."""
    node = held.compile(DRAFTER)
    for _ in range(2):
        held.add(node.length_ns, [node], **DRAFTER)
    held.of_role.add("double_counted", node.stage, 2 * node.length_ns, [node.key])
    held.of_all.add("double_counted", node.stage, node.length_ns, [node.key])


def cumulative(held: Accumulator) -> None:
    """The second number has the first one inside."""
    first = held.compile()
    held.add(first.length_ns, [first])
    second = held.compile()
    alone = held.add(first.length_ns + second.length_ns, [second])
    alone.add("cumulative", first.stage, first.length_ns, [first.key])
    held.numbers += 1
    held.expect("cumulative", first.stage, first.length_ns, first)


def lost_on_failure(held: Accumulator) -> None:
    """A try that failed is not added, whatever ran inside."""
    node = held.compile(outcome="failed")
    held.expect("lost_on_failure", node.stage, -node.length_ns, node)


def unexplained(held: Accumulator) -> None:
    """What is added is more than it took, by a number that is made up."""
    node = held.compile()
    more_ns = held.draw(MADE_UP)
    held.add(node.length_ns + more_ns, [node]).add("unexplained", node.stage, more_ns, [node.key])
    held.made_up_ns += more_ns


def late(held: Accumulator) -> None:
    """A compile after the start, which may be added when the number had been read already."""
    outcome: Outcome = held.draw(st.sampled_from(["completed", "failed"]))
    node = held.compile(outcome=outcome)
    if outcome == "completed" and held.draw(st.booleans()):
        held.add(node.length_ns, [node], made_late=True)
    held.expect("lost_on_failure" if outcome == "failed" else "late", node.stage, -node.length_ns, node)


Plant = Callable[[Accumulator], None]
PLANTS: Final[tuple[Plant, ...]] = (
    nothing, omitted_stage, added_twice, added_within, overlapping_ranges, role_lumping, drafter_added_twice,
    cumulative, lost_on_failure, unexplained, late,
)  # fmt: skip
"""What can go wrong with a compile; what is late is planted after the start alone."""


class Said:
    """A number that is said of accumulators: a worker's own, or the maximum over all workers."""

    def __init__(
        self,
        draw: st.DrawFn,
        speaker: SessionBuilder,
        at_ns: int,
        held: list[list[Accumulator]],
        **known: Any,
    ) -> None:
        """`held` are the accumulators that it is about, by worker."""
        self.held = held
        self.role: str | None = known.get("role")
        # A maximum that is made up is more than it was.
        self.made_up_ns = draw(
            st.one_of(st.just(0), MADE_UP, MADE_UP.map(lambda ns: -ns if known["counts"] == "total" else ns))
        )
        resolution_ns = draw(st.sampled_from([None, 1, CENT]))
        exact_ns = sum(one.held_ns for one in self.most) + self.made_up_ns
        said_ns = round(exact_ns, -7) if resolution_ns == CENT else exact_ns
        self.rounded_ns = said_ns - exact_ns
        self.key = (speaker.process, speaker.claim(at_ns, said_ns, resolution_ns=resolution_ns, **known))

    @property
    def most(self) -> list[Accumulator]:
        """Of each accumulator, the one that holds most; of equal ones that of the slowest worker."""
        return [
            max(of_name, key=lambda one: (one.held_ns, one in self.slowest))
            for of_name in zip(*self.held, strict=True)
        ]

    @property
    def slowest(self) -> list[Accumulator]:
        """What the worker holds in which it took longest."""
        return max(self.held, key=lambda of_worker: sum(node.length_ns for node in self.took(of_worker)))

    def took(self, of_worker: list[Accumulator]) -> list[Node]:
        return [node for one in of_worker for node in one.top_level(self.role)]

    @property
    def expected(self) -> Shares:
        """What is expected of it, when all has happened."""
        shares = Shares(*(one.of_all if self.role is None else one.of_role for one in self.slowest))
        mixed_ns = sum(one.held_ns for one in self.most) - sum(one.held_ns for one in self.slowest)
        assume(mixed_ns == 0 or mixed_ns > S)
        shown_by = [key for one in self.most for key in one.claimed]
        shares.add("mixed_ranks", "torch_compile", mixed_ns, shown_by)
        made_up_ns = self.made_up_ns + sum(one.made_up_ns for one in self.slowest)
        assume(made_up_ns == 0 or abs(made_up_ns) > S)
        shown_by = [node.key for node in self.took(self.slowest)]
        cause = "unexplained" if made_up_ns else "rounding"
        shares.add(cause, "torch_compile", made_up_ns + self.rounded_ns, shown_by)
        return shares


class SaidNothing(Said):
    """The same, of who reports 0."""

    def __init__(
        self, speaker: SessionBuilder, at_ns: int, held: list[list[Accumulator]], **known: Any
    ) -> None:
        self.held, self.role = held, known.get("role")
        self.key = (speaker.process, speaker.claim(at_ns, 0, **known))

    @property
    def expected(self) -> Shares:
        shares = Shares()
        for node in self.took(self.slowest):
            if node.outcome == "failed":
                shares.add("lost_on_failure", node.stage, -node.length_ns, [node.key])
            else:
                for part, ns in node.parts(but=[]):
                    shares.add("not_reported", part.stage, -ns, [part.key])
        return shares


def say(
    draw: st.DrawFn, engine: SessionBuilder, held: list[list[Accumulator]], *, at_once: bool
) -> list[Said]:
    """What all of them say, when all have compiled."""
    at_ns = max(one.at_ns for of_worker in held for one in of_worker) + S
    said: list[Said] = []
    of_engine: dict[str, Any] = {"counts": "ranks", "source": "engine"}
    of_worker: dict[str, Any] = {"counts": "total", "source": "monitor"}
    for of_name in zip(*held, strict=True):
        known = {"role": of_name[0].part["role"], "data": {"accumulator": of_name[0].name}}
        for one in of_name:
            said.append(Said(draw, one.worker, at_ns, [[one]], **of_worker, **known))
        by_worker = [[one] for one in of_name]
        said.append(Said(draw, engine, at_ns, by_worker, **of_engine, **known))
        said.append(SaidNothing(engine, at_ns, by_worker, **of_engine, **known))
    if not at_once:  # or they would be counted twice
        said += (Said(draw, ones[0].worker, at_ns, [ones], **of_worker) for ones in held)
        said.append(Said(draw, engine, at_ns, held, **of_engine))
        said.append(SaidNothing(engine, at_ns, held, **of_engine))
    return said


Causes = dict[tuple[str, int], Known]
"""By process and claim."""


@dataclass(repr=False)
class Session:
    """What was planted and what was found, of each of a session's claims."""

    expected: Causes
    found: Causes

    @property
    def surprises(self) -> dict[tuple[str, int], tuple[object, object]]:
        """What was expected and what was found instead."""
        return {
            key: (
                dict(known.items() - self.found[key].items()),
                dict(self.found[key].items() - known.items()),
            )
            for key, known in self.expected.items()
            if known != self.found[key]
        }


@st.composite
def sessions(draw: st.DrawFn, plants: tuple[Plant, ...], most: int) -> Session:
    """A session with some of these plants in each accumulator."""
    workers = [SessionBuilder(process=f"worker{number}") for number in range(draw(st.integers(1, 3)))]
    engine = SessionBuilder(process="engine")
    for process in (*workers, engine):
        process.begin()
    at_once = draw(st.booleans())
    held: list[list[Accumulator]] = []
    for worker in workers:
        of_worker = [
            Accumulator(draw, worker, part, name)
            for name, part in (("compilation_time", LANGUAGE), ("encoder_compilation_time", ENCODER))
        ]
        held.append(of_worker)
        for one in of_worker:
            one.at_ns = 0 if at_once else max(other.at_ns for other in of_worker)
            nothing(one)
            for plant in draw(st.lists(st.sampled_from(plants), max_size=most)):
                if plant is not late:
                    plant(one)
    said = say(draw, engine, held, at_once=at_once)
    ready_ns = max(one.at_ns for of_worker in held for one in of_worker) + 2 * S
    engine.milestone(ready_ns, "engine_ready")
    for of_worker in held if late in plants else ():
        for one in of_worker:
            one.at_ns = ready_ns if at_once else max(ready_ns, *(other.at_ns for other in of_worker))
            if draw(st.booleans()):
                late(one)
    expected = {number.key: number.expected.known for number in said}
    for one in (one for of_worker in held for one in of_worker):
        expected.update((key, shares.known) for key, shares in one.claims.items())
    return Session(expected, causes_of(reduce(merged(*workers, engine))))


def causes_of(timeline: Timeline) -> Causes:
    known: Causes = {(claim.process, claim.claim): {} for claim in timeline.claims}
    for share in timeline.causes:
        shown_by = frozenset(share.intervals)
        known[share.process, share.claim][share.cause, share.stage] = (share.ns, shown_by)
    return known


@st.composite
def lines(draw: st.DrawFn) -> Session:
    """Lines about compiles, one after the other, of which some have more than their own compile in them."""
    worker = SessionBuilder()
    expected: dict[tuple[str, int], Shares] = {}
    last: dict[str, tuple[int, int]] = {}
    said_ns: list[int] = []
    resolution_ns = draw(st.sampled_from([None, CENT]))
    at_ns = 0
    for role in draw(st.lists(st.sampled_from(["encoder", "language_model"]), min_size=1, max_size=8)):
        start_ns = at_ns + draw(PAUSES)
        at_ns = start_ns + 20 * MS + draw(LENGTHS)
        own_ns = at_ns - start_ns
        interval = worker.start(start_ns, "torch_compile", source="monitor", role=role)
        worker.stop(at_ns, interval)
        what = draw(st.sampled_from(["own", "so far", "so far of its role", "made up", "not from the start"]))
        more_ns, before = 0, last.get(role if what == "so far of its role" else "any")
        if before is not None and what.startswith("so far"):
            more_ns = before[0]
        elif what == "made up":
            more_ns = draw(MADE_UP)
        elif what == "not from the start":
            more_ns = -draw(st.integers(20 * MS, own_ns - 20 * MS))
        number_ns = own_ns + more_ns if resolution_ns is None else round(own_ns + more_ns, -7)
        claim = worker.claim(
            at_ns, number_ns, source="monitor", role=role, interval=interval, resolution_ns=resolution_ns
        )
        shares = expected["process", claim] = Shares()
        own, rest_ns = [("process", interval)], number_ns - own_ns
        if before is not None and what.startswith("so far"):
            shares.add("cumulative", "torch_compile", before[0], [("process", before[1])])
            shares.add("rounding", "torch_compile", rest_ns - before[0], own)
        else:
            cause = {"made up": "unexplained", "not from the start": "omitted_stage"}.get(what, "rounding")
            shares.add(cause, "torch_compile", rest_ns, own)
        # Two numbers of one size could not be told apart.
        assume(all(abs(number_ns - other_ns) > 50 * MS for other_ns in said_ns))
        said_ns.append(number_ns)
        last["any"] = last[role] = (number_ns, interval)
    return Session({key: shares.known for key, shares in expected.items()}, causes_of(reduce(worker.events)))


@st.composite
def lines_of_pieces(draw: st.DrawFn) -> Session:
    """A line about a stage with pieces inside, whose clock ran for some of them, or from the midst of one."""
    worker = SessionBuilder()
    whole = worker.start(0, "model_load", source="engine")
    at_ns = draw(LENGTHS)
    pieces: list[Node] = []
    for stage in draw(st.lists(PIECES, min_size=1, max_size=4)):
        interval = worker.start(at_ns, stage, source="engine")
        piece = Node((worker.process, interval), stage, at_ns, is_named=True)
        at_ns = piece.stop_ns = at_ns + 50 * MS + draw(LENGTHS)
        worker.stop(at_ns, interval)
        pieces.append(piece)
        at_ns += draw(PAUSES)
    stop_ns = at_ns + draw(LENGTHS)
    first = draw(st.integers(0, len(pieces) - 1))
    last = draw(st.integers(first, len(pieces) - 1))
    start_ns, read_ns = pieces[first].start_ns, pieces[last].stop_ns
    what = draw(st.sampled_from(["pieces", "to the end", "from the midst of one"]))
    shares, resolution_ns = Shares(), None
    if what == "pieces":
        resolution_ns = draw(st.sampled_from([None, CENT]))
        exact_ns = read_ns - start_ns
        around_ns = draw(st.integers(0, min(5 * MS, exact_ns // 51)))
        number_ns = exact_ns + around_ns if resolution_ns is None else round(exact_ns, -7)
        shown_by = [piece.key for piece in pieces[first : last + 1]]
        shares.add("rounding", "model_load", number_ns - exact_ns, shown_by)
        logged_ns = draw(st.integers(read_ns, stop_ns))
    else:
        if what == "from the midst of one":
            start_ns += draw(st.integers(20 * MS, pieces[first].length_ns - 20 * MS))
            shares.add("unexplained", "model_load", -start_ns, [(worker.process, whole)])
        else:
            left_out = pieces[:first]
            for piece in left_out:
                shares.add("omitted_stage", piece.stage, -piece.length_ns, [piece.key])
            own_ns = start_ns - sum(piece.length_ns for piece in left_out)
            shares.add("omitted_stage", "model_load", -own_ns, [(worker.process, whole)])
        exact_ns = number_ns = stop_ns - start_ns
        logged_ns = stop_ns
    places = [(one.start_ns, other.stop_ns) for at, one in enumerate(pieces) for other in pieces[at:]]
    places += [place for one in pieces for place in ((0, one.stop_ns), (one.start_ns, stop_ns))]
    # Of two places that the number fits none is proven.
    own = (start_ns, read_ns if what == "pieces" else stop_ns)
    assume(all(abs(b - a - exact_ns) > 50 * MS for a, b in places if (a, b) != own))
    worker.stop(stop_ns, whole)
    claim = worker.claim(
        logged_ns, number_ns, source="engine", stage="model_load", interval=whole, resolution_ns=resolution_ns
    )
    return Session({(worker.process, claim): shares.known}, causes_of(reduce(worker.events)))
