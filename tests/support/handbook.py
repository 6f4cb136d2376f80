"""The pages of the handbook and the README: their blocks, and how one is compared or written again.

A generated block lies between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. With UPDATE_DOCS=1 such
blocks, and the outputs of commands, are written instead of compared: `make docs-update`.
"""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from tests.support.paths import ROOT

DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
IS_UPDATE: Final = bool(os.environ.get("UPDATE_DOCS"))
_WIDTH: Final = 200


def pages() -> list[Path]:
    """Return all pages, the README first."""
    return [README, *sorted(DOCS.glob("*.md"))]


def handbook() -> str:
    """Return the text of the handbook, without the README."""
    return "\n".join(page.read_text() for page in sorted(DOCS.glob("*.md")))


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    """The number of its first line, from 1: the one after the fence."""
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(language: str) -> Iterator[Block]:
    """Yield the blocks of a language on all pages."""
    for page in pages():
        text = page.read_text()
        for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
            yield Block(page, text.count("\n", 0, found.start(1)) + 1, found[1])


def generated_names() -> Iterator[tuple[str, str]]:
    """Yield the page and the name of each generated block."""
    for page in pages():
        for name in re.findall(r"<!-- generated: (.*?) -->", page.read_text()):
            yield page.name, name


def matches(page: Path, name: str, block: str) -> None:
    """Assert that a page's generated block is this text; with UPDATE_DOCS=1 write it."""
    pattern = rf"<!-- generated: {re.escape(name)} -->\n(.*?)<!-- end: {re.escape(name)} -->"
    text = page.read_text()
    found = re.search(pattern, text, flags=re.DOTALL)
    assert found, f"{page.name} has no place for {name!r}"
    replace(page, found.start(1), found.end(1), f"\n{block.strip()}\n\n")


def replace(page: Path, start: int, stop: int, block: str) -> None:
    """Assert that a page has this text between two places; with UPDATE_DOCS=1 write it."""
    text = page.read_text()
    if IS_UPDATE:
        page.write_text(text[:start] + block + text[stop:])
    else:
        assert text[start:stop] == block


def fenced(text: str, language: str = "text") -> str:
    """Return a text as a fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def printed(show: object) -> str:
    """Return what a rich object, or a function that takes a console, prints; without empty lines."""
    text = io.StringIO()
    console = Console(file=text, width=_WIDTH)
    if callable(show):
        show(console)
    else:
        console.print(show)
    return without_empty_lines(text.getvalue())


def without_empty_lines(text: str) -> str:
    """Return a text without empty lines, and without the blanks at the ends of its lines."""
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def matches_file(file: Path, text: str) -> None:
    """Assert that a file has this text; with UPDATE_DOCS=1 write it."""
    if IS_UPDATE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    else:
        assert text == file.read_text(), f"{file.name} is not what is printed: `make docs-update` writes it"
