"""The page of the saved queries has each with its answer."""

from pathlib import Path
from typing import Final

from ledger import saved_queries
from ledger.adapters import query_title
from tests.support.commands import run
from tests.support.handbook import DOCS, fenced, matches
from tests.support.recordings import recorded, write_ledger

OF_VLLM: Final = {
    "after_ready", "components", "graphs", "rank_skew", "stage_by_stage", "who_says_what", "why", "why_cold",
}  # fmt: skip
"""The queries whose answers are shown of vLLM's starts."""
WITHOUT_ANSWER: Final = {"after_ready", "why_cold"}
"""Nothing of the kind happened there: two starts with one key, and no compile after them."""


def test_each_saved_query_is_there_with_its_answer(tmp_path: Path) -> None:
    for recording in ("demo", "vllm"):
        write_ledger(recording, tmp_path / f"{recording}.db")
    sections: list[str] = []
    for name, text in saved_queries().items():
        _, _, query = text.partition("\n")
        recording = "vllm" if name in OF_VLLM else "demo"
        assert bool(recorded(recording).sql(text)) != (name in WITHOUT_ANSWER), name
        answer = fenced(run("sql", str(tmp_path / f"{recording}.db"), "--query", name))
        starts = "two starts of vLLM" if recording == "vllm" else "the demo, and a program that was killed"
        sections.append(
            f"## {name}\n\n{query_title(text)}\n\nOf {starts}:\n\n{answer}\n\n{fenced(query, 'sql')}\n"
        )
    assert sections
    matches(DOCS / "queries.md", "queries", "\n".join(sections))
