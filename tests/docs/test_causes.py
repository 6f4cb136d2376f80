"""The page of causes has every cause, each with a picture drawn from a session with that cause in it."""

import ast
import re
from collections.abc import Callable
from typing import get_args

import pytest

from ledger import reduce
from ledger.vocabulary import CAUSE_LABELS, CAUSES, UNMATCHED, AnomalyName
from tests.support.cause_examples import EXAMPLES, Example
from tests.support.handbook import DOCS, fenced, matches
from tests.support.paths import ROOT
from tests.support.span_drawing import draw_claim

PAGE = DOCS / "causes.md"
MAIN_CAUSES = (*CAUSES, UNMATCHED)


def test_the_page_has_every_cause_and_no_other() -> None:
    sections = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(MAIN_CAUSES)
    assert sorted(made.__name__ for made in EXAMPLES) == sorted(MAIN_CAUSES)


def test_the_page_has_the_words_of_reports() -> None:
    shown = dict(re.findall(r"^### (\w+)\n\nIn reports: “(.+)”\.$", PAGE.read_text(), re.MULTILINE))
    assert shown == CAUSE_LABELS
    assert tuple(CAUSE_LABELS) == MAIN_CAUSES


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_a_picture_is_of_a_claim_with_that_main_cause(make: Callable[[], Example]) -> None:
    example = make()
    timeline = reduce(example.events)
    [row] = (
        one for one in timeline.reconciliation if (one.process, one.claim) == (example.process, example.claim)
    )
    assert row.main_cause == make.__name__
    matches(PAGE, make.__name__, fenced(draw_claim(timeline, example.process, example.claim)))


def anomalies_of(source: str) -> set[str]:
    """The names of the anomalies that a module makes: the first text in each call that makes one."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    makers = [call for call in calls if ast.unparse(call.func) in ("anomalies.add", "Anomaly")]
    texts = [
        [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        for call in makers
    ]
    return {text[0] for text in texts if text}


def test_the_page_explains_every_anomaly_that_the_timeline_finds() -> None:
    sources = [file.read_text() for file in (ROOT / "ledger" / "timeline").rglob("*.py")]
    found = set[str]().union(*map(anomalies_of, sources))
    table = PAGE.read_text().partition("## Anomalies")[2]
    assert found == set(get_args(AnomalyName))
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == found
