"""The command `diff`: shows which stages are slower or faster in one set of sessions than in another."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.analysis.cache_origins import Part, Way, other_key_parts, other_ways
from ledger.analysis.cohorts import Side, sides
from ledger.analysis.comparison import (
    MAX_TESTED,
    MIN_DIFFERENCE_NS,
    MIN_RATIO,
    Comparison,
    Difference,
    RoleDifference,
    StageDifference,
    compare,
)
from ledger.analysis.comparison import Side as Times
from ledger.analysis.significance import ALPHA
from ledger.cli.console import completion
from ledger.cli.console.options import AsJson, NoPager
from ledger.cli.console.pager import paged
from ledger.cli.console.printing import print_json, print_warning, table
from ledger.durations import seconds, signed
from ledger.formatting import NO_ROLE, counted, in_shown_order

_ROLES_NAMED: Final = 3
_STAGES_SHOWN: Final = 15
_PARTS_SHOWN: Final = 10
_WIDE: Final = 140
"""A terminal this wide has room for spread and p, and a column for each part of a name."""
_SMALL_P: Final = 0.001
_MS: Final = f"{MIN_DIFFERENCE_NS // 1_000_000} ms"
_WORTH: Final = f"at least {int(100 * MIN_RATIO)} % and {_MS}"


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A label, a session's id, FILE, or FILE:NAME.",
            autocompletion=completion.sessions,
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="What to compare with A; same forms.", autocompletion=completion.sessions
        ),
    ],
    ledger: Annotated[
        Path, typer.Option("--ledger", "-l", metavar="FILE", help="The ledger to look labels and ids up in.")
    ] = Path("startup.db"),
    as_json: AsJson = False,
    no_pager: NoPager = False,
) -> None:
    """Show what is slower, faster, new or gone in B.

    And what was loaded there instead of compiled.

    Example: compile-ledger diff before after --ledger startup.db

    A label stands for all its sessions, FILE for its newest one. With several sessions, medians are shown.
    A difference counts as real only if it is at least 5 % and 50 ms, and a permutation test on the ranks of
    each side's faster half gives p <= 0.05 after Holm's correction for the number of rows. Record the
    sessions of A and B alternately, so that other load on the machine affects both alike.
    """
    of_a, of_b = sides(a, b, ledger, on_open=print_warning)
    comparison = compare(of_a.timelines, of_b.timelines)
    if as_json:
        print_json(comparison_as_json(of_a, of_b, comparison))
    else:
        with paged(is_wanted=not no_pager) as console:
            print_comparison(of_a, of_b, comparison, console)


def print_comparison(a: Side, b: Side, comparison: Comparison, console: Console) -> None:
    """Print the differences between two sides as text: first the answer, then the evidence."""
    _print_line(answer(comparison, a.name, b.name), console, style="bold")
    for line in (
        *_unread("A", a),
        *_unread("B", b),
        *_other_ways(a, b),
        *_other_keys(a, b),
        *_other_versions(a, b),
    ):
        _print_line(line, console)
    console.print()
    for line in (*_about("A", a), *_about("B", b), how_tested(comparison)):
        _print_line(line, console)
    console.print()
    _print_roles(comparison, console)
    _print_stages(comparison, console)


def _print_line(line: str, console: Console, style: str = "") -> None:
    # A terminal wraps between words; a program that reads the output gets one line.
    console.print(Text(line, style=style), soft_wrap=not console.is_terminal)


def answer(comparison: Comparison, a: str, b: str) -> str:
    """Return in one sentence how `b` differs, as far as the data shows."""
    is_tested = comparison.needed is None
    found = [row for row in comparison.roles if row.difference.is_real is (True if is_tested else None)]
    if not found:
        criterion = "beyond the spread" if is_tested and comparison.tests else f"by {_WORTH}"
        return f"Nothing differs between A ({a}) and B ({b}) {criterion}"
    slower = [row for row in found if row.difference.ns > 0]
    faster = [row for row in found if row.difference.ns < 0]
    doubt = "" if is_tested else ", though so few sessions can't rule out chance"
    if slower and faster:
        (first, most), (second, rest) = sorted(
            (("slower", slower), ("faster", faster)),
            key=lambda side: -max(abs(row.difference.ns) for row in side[1]),
        )
        return f"B ({b}) is {first} than A ({a}){doubt}: {_listed(most)}; and {second}: {_listed(rest)}"
    return f"B ({b}) is {'slower' if slower else 'faster'} than A ({a}){doubt}: {_listed(found)}"


def _listed(rows: Sequence[RoleDifference]) -> str:
    parts = [f"{_name(row)} by {seconds(abs(row.difference.ns))} s" for row in rows[:_ROLES_NAMED]]
    if len(rows) > _ROLES_NAMED:
        parts.append(f"and {len(rows) - _ROLES_NAMED} more")
    return ", ".join(parts)


def _name(row: RoleDifference) -> str:
    verdict = f" ({row.difference.verdict})" if row.difference.verdict in ("new", "gone") else ""
    return f"{row.activity} of {row.role or 'the whole process'}{verdict}"


def _unread(letter: str, side: Side) -> Iterator[str]:
    if side.unread:
        lines = counted(side.unread, "line")
        yield f"{lines} of {letter} could not be read (see rejected_lines), and no time in them is compared"


def _other_ways(a: Side, b: Side) -> Iterator[str]:
    """Yield what one side loaded and the other compiled: one line per pair of origins."""
    parts: defaultdict[tuple[str, str], list[Part]] = defaultdict(list)
    for other in other_ways(a.origins, b.origins):
        parts[_ways(other.a), _ways(other.b)].append(other.part)
    for (in_a, in_b), of_line in parts.items():
        names = ", ".join(" ".join(filter(None, part)) or NO_ROLE for part in of_line[:_PARTS_SHOWN])
        more = f", and {len(of_line) - _PARTS_SHOWN} more" if len(of_line) > _PARTS_SHOWN else ""
        yield f"In A {in_a}, in B {in_b}: {names}{more}"


def _ways(times: Mapping[Way, int]) -> str:
    if len(times) == 1:
        return next(iter(times))
    ordered = sorted(times.items(), key=lambda item: (-item[1], item[0]))
    return f"{' and '.join(f'{way} in {count}' for way, count in ordered)} of {sum(times.values())} sessions"


def _other_keys(a: Side, b: Side) -> Iterator[str]:
    of_component: defaultdict[str | None, list[str]] = defaultdict(list)
    for part in other_key_parts(a.origins, b.origins):
        of_component[part.component].append(part.name)
    for component, names in of_component.items():
        whose = f"in the cache key of {component}" if component else "among the variables in the cache key"
        shown = ", ".join(names[:_PARTS_SHOWN])
        more = f", and {len(names) - _PARTS_SHOWN} more" if len(names) > _PARTS_SHOWN else ""
        yield f"Different {whose}: {shown}{more}"


def _other_versions(a: Side, b: Side) -> Iterator[str]:
    of_a, of_b = _versions(a), _versions(b)
    for name in of_a:
        if name in of_b and of_a[name] != of_b[name]:
            yield f"In A {name} {of_a[name]}, in B {of_b[name]}"


def _versions(side: Side) -> dict[str, str]:
    """Return what a side's sessions ran with: by name its version, or its versions."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for timeline in side.timelines:
        for name, version in timeline.session.versions.items() if timeline.session else ():
            found[name].add(version)
    return {name: " and ".join(sorted(found[name])) for name in in_shown_order(found)}


def _about(letter: str, side: Side) -> Iterator[str]:
    ids = side.sessions
    labels = {timeline.session.label for timeline in side.timelines if timeline.session}
    label = "".join(f" “{label}”" for label in labels if len(labels) == 1 and label not in (None, side.name))
    sessions = ids[0] if len(ids) == 1 else f"{len(ids)} sessions, {ids[0]} to {ids[-1]}"
    yield f"{letter} is {side.name}: {sessions}{label}"
    for session, why in side.left_out:
        yield f"  not included: {session} {why}"


def how_tested(comparison: Comparison) -> str:
    """Return in one sentence what was tested, and how."""
    tests = comparison.tests
    if not tests:
        return f"Not tested: no two sessions differ by {_MS} in any row."
    rows = "the only row" if tests == 1 else f"the {tests} {'largest ' if tests == MAX_TESTED else ''}rows"
    if comparison.needed is not None:
        return (
            f"Not tested: too few sessions to tell a difference from the spread. It takes "
            f"{comparison.needed} on each side to test {rows} that may differ by {_MS}."
        )
    return (
        f"Tested: {rows} that may differ by {_MS}, and the stages within those that do. Real means "
        f"{_WORTH}, with p <= {ALPHA:g} in a permutation test on the faster halves' ranks "
        f"after Holm's correction."
    )


def _print_roles(comparison: Comparison, console: Console) -> None:
    rows = comparison.roles
    if not rows:
        _print_line("No intervals were recorded.", console)
        return
    names = [[row.role or NO_ROLE, row.activity] for row in rows]
    differences = [row.difference for row in rows]
    _print_table(["role", "activity"], names, differences, comparison, "Time by role, in seconds", console)


def _print_stages(comparison: Comparison, console: Console) -> None:
    rows = [row for row in comparison.stages if row.difference.verdict != "same"]
    if not rows:
        return
    shown = rows[:_STAGES_SHOWN]
    columns = ["role", "component", "stage"]
    names = [[row.role or NO_ROLE, row.component, row.stage] for row in shown]
    if console.width < _WIDE:
        columns = ["stage"]
        names = [[f"{row.stage} of {row.component or row.role or 'the whole process'}"] for row in shown]
    differences = [row.difference for row in shown]
    title = "Stages that differ, in seconds (one may be part of another)"
    _print_table(columns, names, differences, comparison, title, console)
    if len(rows) > len(shown):
        _print_line(f"and {len(rows) - len(shown)} more; --json prints all of them", console)


def _print_table(
    columns: Sequence[str],
    names: Sequence[Sequence[object]],
    differences: Sequence[Difference],
    comparison: Comparison,
    title: str,
    console: Console,
) -> None:
    of_several = any(max(each.a.sessions, each.b.sessions) > 1 for each in differences)
    is_wide = console.width >= _WIDE
    has_range = is_wide and of_several
    has_p = is_wide and any(each.p is not None for each in differences)
    head = list(columns)
    for letter in ("A", "B"):
        head += [letter, *([f"{letter} range"] if has_range else [])]
    head += ["B - A", "%", *(["p"] if has_p else []), "verdict"]
    cells: list[list[object]] = []
    for name, each in zip(names, differences, strict=True):
        line: list[object] = list(name)
        for side in (each.a, each.b):
            line += [_median(side), *([_range(side)] if has_range else [])]
        line += [signed(each.ns), _percent(each), *([_p(each)] if has_p else [])]
        is_open = each.is_real is None and comparison.needed is None
        cells.append([*line, f"{each.verdict}, not tested" if is_open else each.verdict])
    console.print(table(head, cells, f"{title} (medians)" if of_several else title))


def _median(side: Times) -> str:
    if not side.seen:
        return ""
    present_in = f" ({side.seen} of {side.sessions})" if side.seen < side.sessions else ""
    return seconds(side.median_ns) + present_in


def _range(side: Times) -> str:
    if not side.seen or side.sessions == 1:
        return ""
    return f"{seconds(side.lowest_ns)} - {seconds(side.highest_ns)}"


def _percent(each: Difference) -> str:
    return "" if each.ratio is None else f"{round(100 * (each.ratio - 1)):+d}"


def _p(each: Difference) -> str:
    if each.p is None:
        return ""
    return f"{each.p:.3f}" if each.p >= _SMALL_P else f"{each.p:.0e}"


def comparison_as_json(a: Side, b: Side, comparison: Comparison) -> Mapping[str, object]:
    """Return the differences between two sides as plain values."""
    return {
        "answer": answer(comparison, a.name, b.name),
        "a": _side_as_json(a),
        "b": _side_as_json(b),
        "is_tested": comparison.needed is None and comparison.tests > 0,
        "sessions_needed_per_side": comparison.needed,
        "real_is": {
            "max_p": ALPHA,
            "min_ratio": float(MIN_RATIO),
            "min_difference_ns": MIN_DIFFERENCE_NS,
        },
        "role_totals": [_row_as_json(row) for row in comparison.roles],
        "stages": [_row_as_json(row) for row in comparison.stages],
        "other_ways": [
            {**other.part._asdict(), "a": other.a, "b": other.b} for other in other_ways(a.origins, b.origins)
        ],
        "other_key_parts": [part._asdict() for part in other_key_parts(a.origins, b.origins)],
    }


def _side_as_json(side: Side) -> Mapping[str, object]:
    return {
        "name": side.name,
        "ledger": str(side.file),
        "sessions": side.sessions,
        "unread_lines": side.unread,
        "left_out": [left_out._asdict() for left_out in side.left_out],
        "versions": _versions(side),
    }


def _row_as_json(row: RoleDifference | StageDifference) -> Mapping[str, object]:
    fields, difference = row._asdict(), row.difference
    del fields["difference"]
    return {
        **fields,
        "difference_ns": difference.ns,
        "ratio": difference.ratio,
        "verdict": difference.verdict,
        "is_real": difference.is_real,
        "p": None if difference.p is None else difference.p,
        "a": difference.a._asdict(),
        "b": difference.b._asdict(),
    }
