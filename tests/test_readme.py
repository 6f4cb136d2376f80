"""What the README shows is what the commands print, of the recordings in tests/data.

With UPDATE_README=1 the blocks are written instead of compared.
"""

import io
import os
import re
import socket
from pathlib import Path

import pytest
from rich.console import Console

from ledger import Budget, Ledger, check_budget, parse_event
from ledger.analysis.cohorts import side_of
from ledger.analysis.comparison import compare
from ledger.cli import app, demo
from ledger.cli.check import print_verdicts
from ledger.cli.console.printing import table_of
from ledger.cli.diff import print_comparison
from ledger.cli.replay import shown
from ledger.storage.queries import query_title, saved_queries
from ledger.testing import MemoryLedger
from tests.support import starts
from tests.support.paths import DATA, ROOT

README = ROOT / "README.md"
KEPT = {name: DATA / f"{name}.jsonl" for name in ("demo", "vllm")}
OF_VLLM = {
    "after_ready", "components", "graphs", "rank_skew", "stage_by_stage", "who_says_what", "why", "why_cold",
}  # fmt: skip
"""The queries whose answers are shown of vLLM's starts."""
WITHOUT_ANSWER = {"after_ready", "why_cold"}
"""Nothing of the kind happened there: two starts with one key, and no compile after them."""


def kept(name: str) -> Ledger:
    return MemoryLedger(parse_event(line) for line in KEPT[name].read_bytes().splitlines())


@pytest.fixture(scope="module")
def recorded() -> Ledger:
    return kept("demo")


@pytest.fixture(scope="module")
def vllm() -> Ledger:
    return kept("vllm")


def printed(show: object) -> str:
    text = io.StringIO()
    console = Console(file=text, width=200)
    if callable(show):
        show(console)
    else:
        console.print(show)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())


def matches_readme(pattern: str, block: str) -> None:
    text = README.read_text()
    found = re.search(pattern, text, flags=re.DOTALL)
    assert found, f"the README has no place for {pattern!r}"
    if os.environ.get("UPDATE_README"):
        README.write_text(text[: found.start(1)] + block + text[found.end(1) :])
    else:
        assert found[1] == block


def test_the_demos_output_in_the_readme_is_real(recorded: Ledger) -> None:
    labelled = {run: recorded.session(f"demo {run}") for run in ("cold", "warm")}
    block = printed(lambda console: demo.print_comparison(recorded, labelled, console))
    matches_readme(r"<!-- output: demo -->\n```text\n(.*?)```", block + "\n")


def test_the_start_of_vllm_in_the_readme_is_real(vllm: Ledger) -> None:
    rows = vllm.sql(saved_queries()["role_totals"])
    matches_readme(r"<!-- output: vllm -->\n```text\n(.*?)```", printed(table_of(rows)) + "\n")


def test_the_replay_in_the_readme_is_real(vllm: Ledger) -> None:
    replay = vllm.replay("vllm cold")
    block = printed(shown(replay, replay.until("95 s")))
    matches_readme(r"<!-- output: replay -->\n```text\n(.*?)```", block + "\n")


def test_the_comparison_in_the_readme_is_real() -> None:
    events = [event for label in ("warm", "cold") for start in starts.kept(label) for event in start]
    ledger = MemoryLedger(events)
    warm, cold = (side_of(label, ledger, ledger.find_sessions(label)) for label in ("warm", "cold"))
    comparison = compare(warm.timelines, cold.timelines)
    block = printed(lambda console: print_comparison(warm, cold, comparison, console))
    matches_readme(r"<!-- output: diff -->\n```text\n(.*?)```", block + "\n")


def test_the_budget_in_the_readme_breaks_as_it_shows(vllm: Ledger, tmp_path: Path) -> None:
    budget = re.search(r"<!-- budget -->\n```toml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert budget
    (tmp_path / "budget.toml").write_text(budget[1])
    limits = Budget.read(tmp_path / "budget.toml")
    verdicts = check_budget(vllm, limits, session="vllm cold", baseline="vllm warm")
    block = printed(lambda console: print_verdicts(verdicts, console))
    matches_readme(r"<!-- output: check -->\n```text\n(.*?)```", block + "\n")


def test_the_queries_in_the_readme_are_the_saved_ones_with_their_answers(
    recorded: Ledger, vllm: Ledger
) -> None:
    blocks: list[str] = []
    for name, sql in saved_queries().items():
        question, _, query = sql.partition("\n")
        rows = (vllm if name in OF_VLLM else recorded).sql(sql)
        assert bool(rows) != (name in WITHOUT_ANSWER), name
        answer = printed(table_of(rows)) if rows else "(no rows)"
        blocks.append(
            f"\n<details><summary><code>--query {name}</code>: {query_title(question)}</summary>\n\n"
            f"```sql\n{query.strip()}\n```\n\n```text\n{answer}\n```\n\n</details>\n"
        )
    assert len(blocks) == 17
    matches_readme(r"<!-- queries -->\n(.*?)\n<!-- end of queries -->", "".join(blocks))


def test_every_command_and_table_is_in_the_readme(recorded: Ledger) -> None:
    text = README.read_text()
    for command in app.registered_commands:
        assert f"`{command.name or command.callback.__name__}" in text
    names = recorded.sql(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '%sqlite%'"
    )
    internal = {"projected_intervals", "projected_sessions", "journal_progress", "versions"}
    for row in names:
        assert row["name"] in internal or f"`{row['name']}`" in text


@pytest.mark.parametrize("name", KEPT)
def test_a_kept_recording_says_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    text = KEPT[name].read_text()
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text
    assert str(README.parent) not in text
