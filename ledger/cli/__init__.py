"""The command line, `compile-ledger`: one module per subcommand, and the terminal output in `console`."""

import sys

import typer
from rich.console import Console
from rich.text import Text

from ledger._version import __version__
from ledger.cli import (
    bench,
    check,
    collect,
    demo,
    diff,
    doctor,
    export,
    import_,
    migrate,
    rebuild,
    record,
    replay,
    report,
    sql,
    verify,
    watch,
)
from ledger.errors import LedgerError

WRONG_USE = 2

app = typer.Typer(
    name="compile-ledger",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Record and explain where torch.compile and engine start-up spend their time.",
    epilog="To get started: compile-ledger demo",
)
app.command()(demo.demo)
app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})(
    record.record
)
app.command(context_settings={"allow_interspersed_args": False})(bench.bench)
app.command()(report.report)
app.command()(sql.sql)
app.command()(replay.replay)
app.command()(watch.watch)
app.command()(diff.diff)
app.command()(check.check)
app.command("import")(import_.import_files)
app.command()(export.export)
app.command()(collect.collect)
app.command()(rebuild.rebuild)
app.command()(verify.verify)
app.command()(migrate.migrate)
app.command()(doctor.doctor)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"compile-ledger {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line. A LedgerError becomes one line on stderr and exit code 2."""
    try:
        app()
    except LedgerError as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"compile-ledger: {error}"))
        sys.exit(WRONG_USE)
