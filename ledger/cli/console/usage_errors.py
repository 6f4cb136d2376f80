"""One line for a mistyped command, option or argument, in place of three about the usage."""

from typing import Any, Final

import typer

USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""Typer's error for wrong use, whose module is another one in each few versions of typer."""

_MEANT: Final = ". Did you mean "


def usage_line(error: Any) -> str:
    """Return a usage error as one line: which command, what is wrong, and what may have been meant."""
    context = error.ctx
    command = context.command_path if context else "compile-ledger"
    message = " ".join(str(error.format_message()).split())
    if near := getattr(error, "possibilities", None):
        message = f"{error.message}{_MEANT}{', '.join(sorted(near))}?"
    problem, _, meant = message.partition(_MEANT)
    what_next = f"see `{command} --help`"
    if meant:
        what_next = f"did you mean {' or '.join(meant.replace(chr(39), '').split(', '))}"
    return f"{command}: {problem[:1].lower()}{problem[1:].rstrip('.')}; {what_next}"
