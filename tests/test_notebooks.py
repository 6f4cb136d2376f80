"""The notebooks run from their beginning, show what they showed when they were kept, and name no machine."""

import ast
import getpass
import re
import shutil
import socket
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode

import ledger
from ledger.events.models import to_line
from ledger.storage.verification import verify
from ledger.testing import MemoryLedger
from tests.take.many_starts import KEPT as MANY_STARTS
from tests.take.notebooks import (
    ENCODER_LINES,
    ENCODER_START,
    FOLDER,
    events_of,
    executed,
    lines_of,
    notebooks,
    outputs,
    pictures,
    pixels,
    smaller,
)

LIBRARIES = {"altair", "pandas", "scipy.stats"}
OURS = {"ledger": set(ledger.__all__), "ledger.testing": {"FakeClock", "MemoryLedger", "SessionBuilder"}}
MOST_BYTES = {".ipynb": 300_000, "encoder_start.db": 3_500_000, "many_starts.db": 2_500_000}
OF_THE_REPORT = {"11.98", "9.18"}
"""What vLLM's monitor and engine said: no cell can compute that."""
COLOURFUL = 15
"""How far apart a colour's channels are: paper, axes and text are grey, what is drawn never quite."""


class Both(NamedTuple):
    """A notebook as it was kept, and as it is when it is executed now."""

    kept: NotebookNode
    fresh: NotebookNode
    folder: Path
    """Where it was executed: a copy of all notebooks."""


@pytest.fixture(scope="module", params=notebooks(), ids=lambda path: path.stem)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("copy") / "notebooks"
    shutil.copytree(FOLDER, folder)
    kept = nbformat.read(request.param, as_version=4)
    return Both(kept, executed(folder / request.param.name), folder)


@pytest.fixture(params=notebooks(), ids=lambda path: path.stem)
def kept(request: pytest.FixtureRequest) -> NotebookNode:
    return nbformat.read(request.param, as_version=4)


def cells(notebook: NotebookNode, kind: str) -> Iterator[str]:
    return (cell.source for cell in notebook.cells if cell.cell_type == kind)


def texts(notebook: NotebookNode) -> list[tuple[str, str, str]]:
    """What a notebook shows in words: the cell, what kind of text it is, and the text."""
    found = []
    for cell, output in outputs(notebook):
        if output.output_type == "stream":
            found.append((cell, output.name, output.text))
        else:
            assert output.output_type in ("execute_result", "display_data")
            found += [(cell, kind, text) for kind, text in sorted(output.data.items()) if kind != "image/png"]
    return found


def test_there_are_three() -> None:
    assert [path.stem for path in notebooks()] == [
        "many_starts", "monitor_against_backend", "where_did_the_time_go",
    ]  # fmt: skip


def test_what_is_kept_is_what_a_clean_kernel_shows(both: Both) -> None:
    assert [cell.get("execution_count") for cell in both.kept.cells] == [
        cell.get("execution_count") for cell in both.fresh.cells
    ]
    assert texts(both.kept) == texts(both.fresh), "run `make notebooks`"


def test_nothing_is_warned_of(both: Both) -> None:
    assert [(cell, text) for cell, kind, text in texts(both.fresh) if kind == "stderr"] == []


def test_pictures_are_where_they_were(both: Both) -> None:
    def places(notebook: NotebookNode) -> list[str]:
        return [cell for cell, output in outputs(notebook) if "image/png" in output.get("data", {})]

    assert places(both.kept) == places(both.fresh)
    for cell, following in pairwise(both.kept.cells):
        if cell["id"] in places(both.kept):
            assert cell["id"].endswith("-picture")
            assert following.cell_type == "markdown", "it says what is seen"


def test_pictures_show_something(both: Both) -> None:
    for notebook in (both.kept, both.fresh):
        seen = [pixels(b64decode(data["image/png"])).astype(int) for data in pictures(notebook)]
        assert seen
        for picture in seen:
            drawn = picture.max(axis=2) - picture.min(axis=2) >= COLOURFUL
            assert drawn.mean() > 0.002
            # Room for what is named left and right of it, and none of it cut.
            edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
            assert (edge == 255).all()


def test_ledgers_are_left_as_they_were(both: Both) -> None:
    before = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix != ".ipynb"}
    after = {path.name: path.read_bytes() for path in both.folder.iterdir() if path.suffix != ".ipynb"}
    assert before == after
    assert before.keys() == {"encoder_start.db", "many_starts.db"}


def test_nothing_shown_is_of_this_machine(kept: NotebookNode) -> None:
    shown = "\n".join(text for _, _, text in texts(kept))
    assert shown
    for name in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(name)}\b", shown)
    for path in (Path.home(), FOLDER.parent, Path(sys.prefix)):
        assert str(path) not in shown
    assert not re.search(r"(?<![\w<>/.:])/\w[\w.-]*/\w", shown), "an absolute path"
    assert not re.search(r"\bat 0x[0-9a-f]+", shown), "an address, which is another one each time"


def test_a_notebook_is_kept_without_the_time_and_place_of_its_making(kept: NotebookNode) -> None:
    assert kept.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell.metadata == {} for cell in kept.cells)
    names = [cell["id"] for cell in kept.cells]
    assert max(Counter(names).values()) == 1
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names), "made by hand, so that they stay"


def test_only_the_public_api_is_used(kept: NotebookNode) -> None:
    for node in ast.walk(ast.parse("\n".join(cells(kept, "code")))):
        if isinstance(node, ast.Import):
            for name in node.names:
                assert name.name in LIBRARIES | OURS.keys() | sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.module in LIBRARIES | OURS.keys() | sys.stdlib_module_names
            assert {name.name for name in node.names} <= OURS.get(
                node.module, {name.name for name in node.names}
            )
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")


def test_no_measurement_stands_in_the_text(kept: NotebookNode) -> None:
    # A number that is not computed beside it would be wrong after the next recording.
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", "", "\n".join(cells(kept, "markdown")))
    numbers = set(re.findall(r"\d+\.\d+|\d+(?= ?(?:ms|s|%|times)\b)", prose))
    assert numbers <= OF_THE_REPORT


def test_files_are_small() -> None:
    for path in FOLDER.iterdir():
        assert path.stat().st_size < MOST_BYTES.get(path.name, MOST_BYTES[".ipynb"]), path.name


def test_the_encoders_start_is_the_kept_recording() -> None:
    assert events_of(ENCODER_START) == lines_of(ENCODER_LINES), "run `make notebooks`"


@pytest.mark.parametrize("file", [ENCODER_START, MANY_STARTS], ids=lambda path: path.stem)
def test_a_ledger_is_whole_and_says_nothing_of_this_machine(file: Path, tmp_path: Path) -> None:
    copy = shutil.copy(file, tmp_path)
    assert [finding for finding in verify(Path(copy)) if finding.is_fault] == []
    told = b"".join(map(to_line, events_of(file).values())).decode()
    for path in (Path.home(), FOLDER.parent, Path(sys.prefix)):
        assert f'"{path}' not in told
    for event in events_of(file).values():
        if event.kind == "process_joined":
            assert event.host != socket.gethostname()


def test_the_many_starts_are_all_complete_and_took_turns() -> None:
    with MemoryLedger(events_of(MANY_STARTS).values()) as opened:
        rows = opened.sql("SELECT label, outcome, process_count FROM sessions ORDER BY started_at")
    assert {(row["outcome"], row["process_count"]) for row in rows} == {("completed", 3)}
    labels = [row["label"] for row in rows]
    assert len(labels) >= 24
    assert all(
        {one, other} == {"before", "after"} for one, other in zip(labels[::2], labels[1::2], strict=True)
    )


def test_a_smaller_picture_is_the_same_picture(both: Both) -> None:
    for data in pictures(both.fresh):
        png = b64decode(data["image/png"])
        assert (pixels(smaller(png)) == pixels(png)).all()
        assert len(smaller(png)) <= len(png)
