"""The page of causes has every cause, each with a picture drawn from a session with that cause in it."""

import re
from collections.abc import Callable

import pytest

from ledger import reduce
from ledger.timeline.reconciliation import causes
from tests.support.cause_examples import EXAMPLES, Example
from tests.support.handbook import DOCS, fenced, matches
from tests.support.span_drawing import draw_claim

PAGE = DOCS / "causes.md"
CAUSES = {
    *(rule.__name__ for rule in (*causes.OF_SPANS, *causes.OF_REMAINDERS, causes.clock, causes.cumulative)),
    causes.UNEXPLAINED,
    causes.UNMATCHED,
}


def test_the_page_has_every_cause_and_no_other() -> None:
    sections = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)
    assert sorted(sections) == sorted(CAUSES)
    assert sorted(made.__name__ for made in EXAMPLES) == sorted(CAUSES)


@pytest.mark.parametrize("make", EXAMPLES, ids=lambda make: make.__name__)
def test_a_picture_is_of_a_claim_with_that_main_cause(make: Callable[[], Example]) -> None:
    example = make()
    timeline = reduce(example.events)
    [row] = (
        one for one in timeline.reconciliation if (one.process, one.claim) == (example.process, example.claim)
    )
    assert row.main_cause == make.__name__
    matches(PAGE, make.__name__, fenced(draw_claim(timeline, example.process, example.claim)))
