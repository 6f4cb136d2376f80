"""The page of the saved queries has each with its answer."""

from typing import Final

from ledger.cli.console.printing import table_of
from ledger.storage.queries import query_title, saved_queries
from tests.support.handbook import DOCS, fenced, matches, printed
from tests.support.recordings import recorded

OF_VLLM: Final = {
    "after_ready", "components", "graphs", "rank_skew", "stage_by_stage", "who_says_what", "why", "why_cold",
}  # fmt: skip
"""The queries whose answers are shown of vLLM's starts."""
WITHOUT_ANSWER: Final = {"after_ready", "why_cold"}
"""Nothing of the kind happened there: two starts with one key, and no compile after them."""


def test_each_saved_query_is_there_with_its_answer() -> None:
    sections: list[str] = []
    for name, text in saved_queries().items():
        _, _, query = text.partition("\n")
        recording = "vllm" if name in OF_VLLM else "demo"
        rows = recorded(recording).sql(text)
        assert bool(rows) != (name in WITHOUT_ANSWER), name
        answer = fenced(printed(table_of(rows))) if rows else "No rows: nothing of the kind happened there."
        starts = "two starts of vLLM" if recording == "vllm" else "the demo, and a program that was killed"
        sections.append(
            f"## {name}\n\n{query_title(text)}\n\nOf {starts}:\n\n{answer}\n\n{fenced(query, 'sql')}\n"
        )
    assert sections
    matches(DOCS / "queries.md", "queries", "\n".join(sections))
