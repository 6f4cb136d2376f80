"""What the pages show of a command is what it prints, and every command that they name exists as written.

A block of `console` that shows output begins with `$ COMMAND`, and the comment above it names the ledger that
the command is run with: one of the kept recordings, as `startup.db`.
"""

import re
import shlex
from pathlib import Path
from typing import Final

import pytest
import typer.main

from ledger.cli import app
from tests.support.commands import run
from tests.support.handbook import blocks, pages, replace
from tests.support.recordings import RECORDINGS, recorded, write_ledger

_SHOWN: Final = re.compile(
    r"<!-- ledger: (?P<ledger>\w+)(?:, (?P<columns>\d+) columns)?(?:, first (?P<lines>\d+) lines)? -->\n"
    r"```console\n\$ (?P<command>.*)\n(?P<output>(?:.*\n)*?)```$",
    re.MULTILINE,
)
_FILE: Final = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""A file that a page shows, and that its commands read."""
_COMMANDS: Final = typer.main.get_command(app).commands
_COLUMNS: Final = 120
_ELSEWHERE: Final = {"--version", "--help"}


def shown_commands() -> list[tuple[str, int]]:
    """Every output on the pages, by its page and its number there."""
    return [
        (page.name, number) for page in pages() for number, _ in enumerate(_SHOWN.finditer(page.read_text()))
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write each recording as a ledger that lies in a folder of its own."""
    made: dict[str, Path] = {}
    for name in RECORDINGS:
        made[name] = tmp_path_factory.mktemp(name)
        write_ledger(name, made[name] / "startup.db")
    return made


@pytest.mark.parametrize(("page", "number"), shown_commands())
def test_an_output_is_what_the_command_prints(
    page: str, number: int, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = [one for one in pages() if one.name == page]
    found = list(_SHOWN.finditer(path.read_text()))[number]
    monkeypatch.chdir(folders[found["ledger"]])
    for name, text in _FILE.findall(path.read_text()):
        Path(name).write_text(text)
    program, *arguments = shlex.split(found["command"])
    assert program == "compile-ledger"
    output = run(*arguments, columns=int(found["columns"] or _COLUMNS))
    if found["lines"]:
        output = "\n".join(output.splitlines()[: int(found["lines"])])
    assert output
    replace(path, found.start("output"), found.end("output"), output + "\n")


def test_every_output_is_checked() -> None:
    checked = {
        (page.name, found["command"]) for page in pages() for found in _SHOWN.finditer(page.read_text())
    }
    for block in blocks("console"):
        for line in block.text.splitlines():
            if line.startswith("$ "):
                assert (block.page.name, line.removeprefix("$ ")) in checked, str(block)


def test_every_command_on_the_pages_exists_with_its_options() -> None:
    found = 0
    for block in blocks("console"):
        lines = block.text.splitlines()
        # Where there are prompts, the other lines are what a command printed.
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")] or lines
        for line in commands:
            words = line.split("  #")[0]
            if not words.startswith("compile-ledger "):
                continue
            _, name, *arguments = shlex.split(words.split(" -- ")[0])
            if name in _ELSEWHERE:
                continue
            assert name in _COMMANDS, f"{block}: {line}"
            options = {option for parameter in _COMMANDS[name].params for option in parameter.opts}
            for argument in arguments:
                if argument.startswith("-") and argument != "-":
                    assert argument in options | _ELSEWHERE, f"{block}: {line}"
                if name == "sql" and argument.upper().startswith("SELECT"):
                    recorded("demo").sql(f"EXPLAIN {argument}")
            found += 1
    assert found
