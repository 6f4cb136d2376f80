"""The README shows the demo as it was recorded, and its recordings tell nothing of their machine."""

import re
import socket
from pathlib import Path

import pytest

from ledger.cli import demo
from tests.support.handbook import README, fenced, generated_names, matches, printed
from tests.support.paths import DATA, ROOT
from tests.support.recordings import recorded


@pytest.mark.parametrize("page", ["README.md", "tutorial.md"])
def test_the_output_of_the_demo_is_real(page: str) -> None:
    path = README if page == "README.md" else ROOT / "docs" / page
    ledger = recorded("demo")
    labelled = {run: ledger.session(f"demo {run}") for run in ("cold", "warm")}
    block = printed(lambda console: demo.print_comparison(ledger, labelled, console))
    matches(path, "demo", fenced(block))


def test_every_generated_block_has_a_test_that_makes_it() -> None:
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    causes = (ROOT / "tests" / "support" / "cause_examples.py").read_text()
    for page, name in generated_names():
        made = f'"{name}"' in tests or f"def {name}(" in causes or f'ids=["{name}"' in tests
        assert made or re.search(rf"\(({re.escape(name)}), ", tests), f"{page}: {name}"


@pytest.mark.parametrize("name", ["demo", "vllm"])
def test_a_kept_recording_says_nothing_of_the_machine_it_was_made_on(name: str) -> None:
    text = (DATA / f"{name}.jsonl").read_text()
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text
    assert str(ROOT) not in text
