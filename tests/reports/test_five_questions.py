"""Questions that people come with, each answered by the first screen of a start recorded for it."""

import gzip
import re
from pathlib import Path

import pytest

from tests.support import screens
from tests.support.paths import ROOT, TESTS
from tests.support.questions import FOLDER, QUESTIONS, asked


def line_of(program: str, comment: str) -> int:
    """Return the number of the line of a program that has a comment."""
    lines = (TESTS / "programs" / program).read_text().splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {comment}")]
    return number


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_screen_is_what_is_kept_and_fits(question: str) -> None:
    shown = screens.screen(asked(question))
    assert len(shown.splitlines()) < screens.HEIGHT
    assert max(map(len, shown.splitlines())) <= screens.WIDTH
    screens.is_kept(f"{question}.txt", shown)


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_finding_is_cut(question: str) -> None:
    shown = screens.screen(asked(question)).split("\n\n")
    assert "→" in shown[2]
    assert "…" not in shown[2]


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.stem)
def test_what_is_kept_says_nothing_of_the_machine_it_was_made_on(path: Path) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    assert str(Path.home()) not in text
    assert str(ROOT) not in text
    assert set(re.findall(r'"(?:host|boot_id)":"([^"]*)"', text)) == {"<host-1>", "<boot-1>"}


def test_it_was_cold_why() -> None:
    shown = screens.screen(asked("cold"))
    assert "backbone compiled (key changed: VLLM_ENGINE_READY_TIMEOUT_S)\n" in shown


def test_it_recompiles_why_and_where() -> None:
    shown = screens.screen(asked("recompiles"))
    line = line_of("train.py", "compiles again for each batch size")
    again = rf"training_step \(train\.py:{line}\), 2 times more: inputs\.size\(0\) (\d+) → (\d+)\n"
    [(before, now)] = re.findall(again, shown)
    assert before != now
    assert "→ Mark the size dynamic: torch._dynamo.mark_dynamic(), or dynamic=True\n" in shown
    line = line_of("train.py", "breaks the graph")
    assert f"train.py:{line}: Failed to trace builtin operator print\n" in shown


def test_a_third_of_the_start_is_imports_of_which_package() -> None:
    [(total, share, package, most)] = re.findall(
        r"imports take (\S+) s \((\d+)%\), (\w+) most: (\S+) s\n", screens.screen(asked("imports"))
    )
    assert package == "torch"
    assert int(share) >= 33
    assert float(total) / 3 < float(most) <= float(total)


def test_which_rank_is_slow_and_where() -> None:
    shown = screens.screen(asked("slow_rank"))
    [(took, others)] = re.findall(r"rank 3 took (\S+) s in load_shards, the 3 others (\S+) s\n", shown)
    assert float(took) > 3 * float(others)
    # The others wait for it: so the start has this time of its.
    assert re.search(r"^shards\.py rank 3 [^\n]*\n(?: [^\n]*\n)*? +load_shards ", shown, re.MULTILINE)


def test_which_of_two_numbers_is_to_be_believed_and_why_they_differ() -> None:
    shown = screens.screen(asked("two_numbers"))
    assert "ready after 59.354 s" in shown
    assert "engine says 9.1 s of torch_compile, it was 19.7 s: no triton_compile\n" in shown
    assert "→ Believe the 19.7 s" in shown
