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
OF_COMPILATIONS: Final = {"cache_answers", "graph_breaks", "recompiles"}
"""Those whose answers are shown of a program that compiles in many ways."""
RECORDINGS: Final = {
    "demo": "the demo, and a program that was killed",
    "vllm": "two starts of vLLM",
    "compilations": "a program that compiles in many ways",
}
WITHOUT_ANSWER: Final = {"after_ready", "why_cold"}
"""Nothing of the kind happened there: two starts with one key, and no compile after them."""


def test_each_saved_query_is_there_with_its_answer(tmp_path: Path) -> None:
    for recording in RECORDINGS:
        write_ledger(recording, tmp_path / f"{recording}.db")
    sections: list[str] = []
    for name, text in saved_queries().items():
        _, _, query = text.partition("\n")
        recording = "vllm" if name in OF_VLLM else "compilations" if name in OF_COMPILATIONS else "demo"
        assert bool(recorded(recording).sql(text)) != (name in WITHOUT_ANSWER), name
        answer = fenced(run("sql", str(tmp_path / f"{recording}.db"), "--query", name))
        of = f"Of {RECORDINGS[recording]}:"
        sections.append(f"## {name}\n\n{query_title(text)}\n\n{of}\n\n{answer}\n\n{fenced(query, 'sql')}\n")
    assert sections
    matches(DOCS / "queries.md", "queries", "\n".join(sections))
