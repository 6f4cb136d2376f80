"""Shows on stderr how far a command has read what it has to read."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def reading(what: str, total_bytes: int) -> Generator[Callable[[int], None]]:
    """Show a bar, named `what`, until the block ends; yield what is called with each number of bytes read."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # To a file it would write an empty line.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda read_bytes: progress.advance(task, read_bytes)
