"""Runs `compile-ledger` in this process, as in a terminal of a given width."""

from typing import Final

from typer.testing import CliRunner

from ledger.cli import app
from tests.support.handbook import without_empty_lines

_CHECK_FAILED: Final = 1


def run(*arguments: str, columns: int = 200) -> str:
    """Return what a command prints, without empty lines; it may end with 1, as a check that fails does."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": str(columns)})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code in (0, _CHECK_FAILED), result.output
    return without_empty_lines(result.output)
