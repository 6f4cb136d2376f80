"""The command `merge`: brings ledgers of several hosts or runs into one."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from ledger.cli.console.options import AsJson
from ledger.cli.console.printing import print_json
from ledger.cli.console.progress import reading, working
from ledger.cli.console.terminal import echo
from ledger.formatting import counted
from ledger.storage import merging, projections
from ledger.storage.merge_output import merge_output, unfinished_output
from ledger.storage.store import Store

_REFUSED_SHOWN: Final = 3
_SOME_REFUSED: Final = 1


def merge(
    paths: Annotated[
        list[Path], typer.Argument(help="Ledgers, or folders that have some.", metavar="PATH …")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The ledger to merge into; created if missing.", metavar="FILE"),
    ],
    as_json: AsJson = False,
) -> None:
    """Merge ledgers of several hosts or runs into one.

    With the journals that wait for them.

    Example: compile-ledger merge node1.db node2.db -o all.db

    Example: compile-ledger merge live.db -o copy.db

    The same event twice is one event: a merge can be done again, and goes on where it was interrupted. The
    sources stay as they are. Another event under a key that is in use is refused and shown; the exit code is
    then 1. What is derived from a session is copied where one ledger has all of it, and derived again where
    several have parts.
    """
    with working("looking for ledgers"):
        sources = merging.ledgers_in(paths)
    if (unfinished := unfinished_output(output)) is not None:
        echo(f"going on with {unfinished}, left by an interrupted merge; to begin anew, remove it", err=True)
    try:
        size = sum(map(merging.size_of, sources))
        with reading("merging", size) as progress, merge_output(output) as store:
            total = merging.merge_all(store, sources, progress)
        with closing(Store.open(output)) as store:
            _derive(store)
            [(sessions,)] = store.select("SELECT count(*) FROM sessions")
    except KeyboardInterrupt:
        echo("interrupted: what was merged is kept, the same command goes on from there", err=True)
        raise
    refused = [f"({row.session}, {row.process}, {row.seq})" for row in total.conflicting]
    if as_json:
        counts = {**total._asdict(), "conflicting": refused}
        print_json({"ledger": str(output), "merged": len(sources), "sessions": sessions, **counts})
    else:
        echo(
            f"merged {counted(len(sources), 'ledger')}: {total.events:,} new events, {total.duplicates:,} "
            f"already there, {total.rejected:,} rejected lines; {output} has "
            f"{counted(int(str(sessions)), 'session')}"
        )
        for key in refused[:_REFUSED_SHOWN]:
            echo(f"refused: another event has the key {key}", err=True)
        if (more := len(refused) - _REFUSED_SHOWN) > 0:
            echo(f"refused: {more:,} more", err=True)
    if refused:
        raise typer.Exit(_SOME_REFUSED)


def _derive(store: Store) -> None:
    """Derive what was not copied, and show how far that is, in events."""
    counts = {
        session: int(str(store.select("SELECT count(*) FROM events WHERE session = ?", [session])[0][0]))
        for session in projections.stale_sessions(store)
    }
    if not counts:
        return
    begun: list[str] = []
    with reading("deriving", sum(counts.values())) as progress:

        def begin(session: str) -> None:
            progress(sum(counts.get(one, 0) for one in begun[-1:]))  # the one before is done
            begun.append(session)

        projections.bring_up_to_date(store, begin)
