"""The glossary has the words of the vocabulary, and the stages of each activity."""

from typing import get_args

import pytest

from ledger.vocabulary import STAGES, Source
from ledger_birth.environment import FILE_VARIABLE, LABEL_VARIABLE, SESSION_VARIABLE
from tests.support.handbook import DOCS, matches, table

PAGE = DOCS / "glossary.md"


def test_the_stages_are_those_of_the_vocabulary() -> None:
    rows = [
        [f"`{activity}`", ", ".join(f"`{stage}`" for stage in stages)] for activity, stages in STAGES.items()
    ]
    matches(PAGE, "stages", table(["activity", "stages"], rows))


@pytest.mark.parametrize("word", [*STAGES, *get_args(Source), "Abandoned", "Open"])
def test_a_word_of_the_vocabulary_is_explained(word: str) -> None:
    text = PAGE.read_text().partition("## Stages")[0]
    assert f"`{word}`" in text or f"**{word}**" in text


@pytest.mark.parametrize("name", [FILE_VARIABLE, SESSION_VARIABLE, LABEL_VARIABLE])
def test_a_variable_is_explained(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "recording.md").read_text()
