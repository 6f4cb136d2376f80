"""The page about the first screen shows the screens that are kept."""

import re

import pytest

from tests.support import screens
from tests.support.handbook import DOCS, fenced, matches
from tests.support.questions import QUESTIONS

PAGE = DOCS / "reading-a-report.md"


@pytest.mark.parametrize("question", ["cold", "recompiles", "imports", "slow_rank", "two_numbers"])
def test_a_screen_of_the_page_is_the_one_that_is_kept(question: str) -> None:
    matches(PAGE, question, fenced((screens.FOLDER / f"{question}.txt").read_text()))


def test_the_page_has_the_questions_as_headings() -> None:
    assert re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE) == list(QUESTIONS.values())
