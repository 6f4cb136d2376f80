"""Progress bars on stderr."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def reading(what: str, total_bytes: int) -> Generator[Callable[[int], None]]:
    """Show a bar named `what` until the block ends; yield a function to report bytes read to."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # If stderr is not a terminal, a progress bar would still write an empty line to it.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda read_bytes: progress.advance(task, read_bytes)
