"""The page of the command line has every command, argument and option, in the words of its help."""

import inspect
from typing import Any, Final

import typer.main

from ledger.cli import app
from tests.support.handbook import DOCS, matches, table

COMMANDS: Final[dict[str, Any]] = typer.main.get_command(app).commands


def default_of(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = getattr(parameter.default, "value", parameter.default)
    return "" if value in (None, False) or callable(value) else f"`{value}`"


def names_of(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or str(parameter.name).upper()}`"
    metavar = f" {parameter.metavar}" if parameter.metavar else ""
    return ", ".join(f"`{option}{metavar}`" for option in sorted(parameter.opts, key=len))


def section(name: str, command: Any) -> str:
    text = inspect.cleandoc(command.help)
    paragraphs = [paragraph.replace("\n", " ") for paragraph in text.split("\n\n")]
    examples = [one.removeprefix("Example: ") for one in paragraphs if one.startswith("Example: ")]
    prose = [one for one in paragraphs if not one.startswith("Example: ")]
    assert examples, f"{name} has no example"
    rows = [[names_of(one), one.help, default_of(one)] for one in command.params]
    options = table(["argument or option", "", "default"], rows) if rows else ""
    shown = "```console\n" + "\n".join(examples) + "\n```"
    return f"## {name}\n\n" + "\n\n".join([*prose, shown, options]).strip() + "\n"


def test_every_command_is_there_with_each_option_in_the_words_of_its_help() -> None:
    assert COMMANDS
    matches(
        DOCS / "command-line.md",
        "commands",
        "\n".join(section(name, command) for name, command in COMMANDS.items()),
    )


def test_every_option_has_words() -> None:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.help, f"{name}: {parameter.name}"
