"""Each finding has its page in the handbook: what it means, what to try, and what that costs."""

import re
from pathlib import Path

import pytest

from ledger.storage.queries import saved_queries
from ledger.vocabulary import FINDINGS
from tests.support.paths import ROOT

FOLDER = ROOT / "docs" / "findings"
SHORTEST, LONGEST = 10, 30


def paragraphs(page: Path) -> list[str]:
    return page.read_text().strip().split("\n\n")


@pytest.mark.parametrize("name", FINDINGS)
def test_a_page_begins_with_what_the_finding_means(name: str) -> None:
    title, meaning, *rest = paragraphs(FOLDER / f"{name}.md")
    assert title.startswith("# ")
    assert " ".join(meaning.split()) == FINDINGS[name]  # pyright: ignore[reportArgumentType]
    assert SHORTEST <= len((FOLDER / f"{name}.md").read_text().splitlines()) <= LONGEST
    assert any(paragraph.startswith("What to ") for paragraph in rest)
    assert rest[-1].startswith("What it costs:")


@pytest.mark.parametrize("name", FINDINGS)
def test_a_page_is_in_the_handbooks_table_of_contents(name: str) -> None:
    assert f": findings/{name}.md\n" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("name", FINDINGS)
def test_a_page_speaks_of_queries_that_there_are(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text()
    assert set(re.findall(r"--query (\w+)", text)) <= saved_queries().keys()


def test_no_page_is_of_a_finding_that_there_is_not() -> None:
    pages = {page.stem for page in FOLDER.glob("*.md")}
    assert pages - FINDINGS.keys() == {"triton-cache"}
