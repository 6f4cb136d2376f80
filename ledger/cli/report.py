"""The command `report`: what took the time, per role, and who counted it how."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli.console.printing import print_warning, printer, table
from ledger.errors import LedgerError
from ledger.formatting import NO_ROLE, seconds
from ledger.storage.ledger import Ledger

_CLAIMS_SHOWN: Final = 10
_CAUSES_SHOWN: Final = 3
_TEXT_SHOWN: Final = 50
_UNATTRIBUTED_SHOWN: Final = 5
_ANOMALIES_SHOWN: Final = 10
_FAILED_SHOWN: Final = 10
_PARTS: Final = (
    "sessions",
    "processes",
    "role_totals",
    "source_totals",
    "session_totals",
    "claims",
    "reconciliation",
    "causes",
    "anomalies",
    "milestones",
    "gaps",
)


def report(
    file: Annotated[Path, typer.Argument(help="The ledger.")],
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="A session's id, its beginning, or a label.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write one self-contained page instead.")
    ] = None,
    flame: Annotated[
        Path | None, typer.Option("--flame", metavar="OUT", help="Write flame graphs for speedscope instead.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="SESSION", help="Another session, beside it on the page."),
    ] = None,
) -> None:
    """Print what a session's time went into: by default the newest session.

    Example: compile-ledger report startup.db --session nightly --html startup.html

    Example: compile-ledger report startup.db --flame startup.speedscope.json
    """
    _check(as_json, html, flame)
    if against is not None and html is None:
        raise LedgerError("--against is for --html; as text, `compile-ledger diff A B` compares")
    console = printer()
    with Ledger.open(file) as ledger:
        print_warning(ledger)
        chosen = ledger.session(session)
        if html is not None or flame is not None:
            others = [] if against is None else [ledger.session(against)]
            for sentence in _write_pictures(ledger, [chosen, *others], html, flame):
                printer(stderr=True).print(Text(sentence), soft_wrap=True)
        elif as_json:
            typer.echo(json.dumps(_as_json(ledger, chosen), indent=2))
        else:
            print_report(ledger, chosen, console)


def _check(as_json: bool, html: Path | None, flame: Path | None) -> None:
    """Raise LedgerError where what is to be written can't be written together."""
    for option, file in (("--html", html), ("--flame", flame)):
        if as_json and file is not None:
            raise LedgerError(f"--json and {option} were both given; give one of them")
    if html is not None and flame is not None and os.path.realpath(html) == os.path.realpath(flame):
        raise LedgerError(f"--html and --flame both name {html}; name two files")


def _write_pictures(
    ledger: Ledger, sessions: Sequence[str], html: Path | None, flame: Path | None
) -> Iterator[str]:
    """Write what is asked for, and yield a sentence about each. The flames are those of the first session."""
    from ledger.cli.console.pictures import write_flame_graphs, write_page

    if html is not None:
        yield write_page(ledger, sessions, html)
    if flame is not None:
        yield write_flame_graphs(ledger, sessions[0], flame)


def print_report(ledger: Ledger, session: str, console: Console) -> None:
    """Print one session's report as text."""
    _print_head(ledger, session, console)
    _print_totals(ledger, session, console)
    _print_differences(ledger, session, console)
    _print_unattributed(ledger, session, console)
    _print_sources(ledger, session, console)
    _print_processes(ledger, session, console)
    _print_failed(ledger, session, console)
    _print_faults(ledger, session, console)


def _as_json(ledger: Ledger, session: str) -> Mapping[str, object]:
    parts = {name: ledger.sql(f"SELECT * FROM {name} WHERE session = ?", [session]) for name in _PARTS}
    return {"session": parts.pop("sessions")[0], **parts}


def _print_head(ledger: Ledger, session: str, console: Console) -> None:
    row = ledger.sql("SELECT * FROM sessions WHERE session = ?", [session])[0]
    known = ledger.sessions()
    versions = ", ".join(
        f"{name} {row[name + '_version']}" for name in ("python", "torch", "vllm") if row[name + "_version"]
    )
    command = " ".join(json.loads(str(row["command"]))) if row["command"] else "unknown command"
    label = f" “{row['label']}”" if row["label"] else ""
    console.print(Text(f"Session {session}{label}: {row['outcome']}", style="bold"), soft_wrap=True)
    console.print(Text(f"  {command}"), soft_wrap=True)
    console.print(
        Text(f"  started {row['started_at'] or 'at an unknown time'}, {versions or 'versions unknown'}")
    )
    if len(known) > 1:
        others = [other for other in known if other != session][-5:]
        console.print(Text(f"  one of {len(known)} sessions; others: {', '.join(others)}"), soft_wrap=True)
    console.print()


def _print_totals(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT s.role, s.activity, s.max_ns, s.union_ns, s.sum_ns, s.process_count,
               coalesce(p.name, s.slowest_process) AS slowest,
               (SELECT sum(r.open_count) FROM role_totals r
                WHERE r.session = s.session AND r.role IS s.role AND r.activity = s.activity) AS open
        FROM session_totals s
        LEFT JOIN processes p ON p.session = s.session AND p.process = s.slowest_process
        WHERE s.session = ?
        ORDER BY s.max_ns DESC
        """,
        [session],
    )
    if not rows:
        console.print("No interval was recorded.\n")
        return
    several = any(int(str(row["process_count"])) > 1 for row in rows)
    columns = ["role", "activity", "seconds", *(["union", "sum", "processes", "slowest"] if several else [])]
    is_any_open = any(row["open"] for row in rows)
    columns += ["still open"] if is_any_open else []
    cells: list[list[object]] = []
    for row in rows:
        line: list[object] = [row["role"] or NO_ROLE, row["activity"], seconds(row["max_ns"])]
        if several:
            line += [seconds(row["union_ns"]), seconds(row["sum_ns"]), row["process_count"], row["slowest"]]
        cells.append([*line, *([row["open"]] if is_any_open else [])])
    title = "Time by role" + (" (seconds: of the slowest process)" if several else "")
    console.print(table(columns, cells, title))


def _print_sources(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT coalesce(p.name, t.process) AS process, t.role, t.activity, t.source,
               t.total_ns, t.naive_sum_ns, t.double_counted_ns
        FROM source_totals t
        LEFT JOIN processes p ON p.session = t.session AND p.process = t.process
        WHERE t.session = ?
        ORDER BY t.process, t.role, t.activity, t.total_ns DESC
        """,
        [session],
    )
    if not rows:
        return
    cells = [
        [
            row["process"], row["role"] or NO_ROLE, row["activity"], row["source"], seconds(row["total_ns"]),
            seconds(row["naive_sum_ns"]), seconds(row["double_counted_ns"]),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["process", "role", "activity", "source", "seconds", "naive sum", "counted twice"]
    console.print(table(columns, cells, "Whose clock says what"))


def _print_differences(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT
            c.source, c.role, c.stage, r.claimed_ns, r.measured_ns, r.difference_ns, c.text,
            (
                SELECT group_concat(
                    cause || coalesce(' of ' || stage, '') || printf(' %+.3f', ns / 1e9), ', '
                )
                FROM (
                    SELECT * FROM causes k
                    WHERE k.session = c.session AND k.process = c.process AND k.claim = c.claim
                        AND k.cause <> 'rounding'
                    ORDER BY abs(k.ns) DESC LIMIT ?
                )
            ) AS why
        FROM claims c
        JOIN reconciliation r USING (session, process, claim)
        WHERE c.session = ? AND r.main_cause NOT IN ('rounding', 'unmatched')
        ORDER BY abs(r.difference_ns) DESC, c.process, c.claim LIMIT ?
        """,
        [_CAUSES_SHOWN, session, _CLAIMS_SHOWN],
    )
    counts = ledger.sql(
        """
        SELECT
            count(*) AS claims,
            count(*) FILTER (WHERE main_cause IS NULL OR main_cause = 'rounding') AS agree,
            count(*) FILTER (WHERE main_cause = 'unmatched') AS unmatched
        FROM reconciliation WHERE session = ?
        """,
        [session],
    )[0]
    if rows:
        cells = [
            [
                row["source"], row["role"], row["stage"], seconds(row["claimed_ns"]),
                seconds(row["measured_ns"]), seconds(row["difference_ns"]), row["why"],
                str(row["text"] or "")[:_TEXT_SHOWN],
            ]
            for row in rows
        ]  # fmt: skip
        columns = ["source", "role", "stage", "claimed", "measured", "difference", "why", "read from"]
        console.print(table(columns, cells, "Who said otherwise, by how much, and why"))
    if counts["claims"]:
        told = f"{counts['agree']} of {counts['claims']} claims agree with what was measured"
        if counts["unmatched"]:
            told += f"; {counts['unmatched']} speak of nothing that was recorded"
        console.print(Text(told), soft_wrap=True)
        console.print()


def _print_unattributed(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT role, stage, component, source, duration_ns, unattributed_ns FROM intervals
        WHERE session = ? AND unattributed_ns > 0 ORDER BY unattributed_ns DESC LIMIT ?
        """,
        [session, _UNATTRIBUTED_SHOWN],
    )
    if not rows:
        return
    cells = [
        [
            row["role"] or NO_ROLE, row["stage"], row["component"], row["source"],
            seconds(row["duration_ns"]), seconds(row["unattributed_ns"]),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["role", "stage", "component", "source", "seconds", "unattributed"]
    console.print(table(columns, cells, "Time that nothing inside accounts for"))


def _print_processes(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT coalesce(p.name, p.process) AS name, p.pid, p.rank, p.outcome, p.event_count, p.lost_events,
               (
                   SELECT i.stage FROM intervals i
                   WHERE i.session = p.session AND i.process = p.process
                     AND i.outcome IN ('abandoned', 'open') AND p.outcome IN ('lost', 'running')
                   ORDER BY i.start_ns DESC, i.start_seq DESC LIMIT 1
               ) AS stage
        FROM processes p WHERE p.session = ? ORDER BY p.started_at, p.process
        """,
        [session],
    )
    cells = [
        [
            row["name"], row["pid"], row["rank"], row["outcome"], row["stage"], row["event_count"],
            row["lost_events"] or None,
        ]
        for row in rows
    ]  # fmt: skip
    console.print(
        table(["process", "pid", "rank", "outcome", "in stage", "events", "lost"], cells, "Processes")
    )


def _print_failed(ledger: Ledger, session: str, console: Console) -> None:
    rows = ledger.sql(
        """
        SELECT coalesce(p.name, i.process) AS process, i.role, i.stage, i.component, i.error, i.duration_ns
        FROM intervals i
        LEFT JOIN processes p USING (session, process)
        WHERE i.session = ? AND i.outcome = 'failed'
        ORDER BY i.stop_ns, i.depth DESC LIMIT ?
        """,
        [session, _FAILED_SHOWN],
    )
    if not rows:
        return
    cells = [
        [
            row["process"], row["role"] or NO_ROLE, row["stage"], row["component"], row["error"],
            seconds(row["duration_ns"]),
        ]
        for row in rows
    ]  # fmt: skip
    columns = ["process", "role", "stage", "component", "error", "seconds"]
    console.print(table(columns, cells, "What failed, the first to end first"))


def _print_faults(ledger: Ledger, session: str, console: Console) -> None:
    anomalies = ledger.sql(
        "SELECT what, count(*) AS number, min(detail) AS first FROM anomalies WHERE session = ? "
        "GROUP BY what ORDER BY 2 DESC LIMIT ?",
        [session, _ANOMALIES_SHOWN],
    )
    if anomalies:
        cells = [[row["what"], row["number"], row["first"]] for row in anomalies]
        console.print(table(["anomaly", "number", "for example"], cells, "Anomalies"))
    gaps = ledger.sql(
        "SELECT what, sum(count) AS number, min(detail) AS first FROM gaps WHERE session = ? GROUP BY what",
        [session],
    )
    if gaps:
        cells = [[row["what"], row["number"], row["first"]] for row in gaps]
        console.print(table(["not seen", "number", "for example"], cells, "Gaps"))
    missing = ledger.sql(
        "SELECT DISTINCT value FROM processes, json_each(processes.missing_hooks) WHERE session = ?",
        [session],
    )
    for row in missing:
        console.print(Text(f"Not hooked: {row['value']}"), soft_wrap=True)
    rejected = ledger.sql("SELECT count(*) AS number FROM rejected_lines")[0]["number"]
    if rejected:
        console.print(Text(f"{rejected} lines of journals are no events: see rejected_lines"))
