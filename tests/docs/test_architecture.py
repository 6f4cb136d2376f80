"""The architecture page is the tree, its floors are those of the imports, and its example is a real event."""

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import grimp
import pytest
import tomli

from ledger import Ledger, Recorder
from ledger.testing import FakeClock
from tests.support.handbook import DOCS, fenced, matches, table
from tests.support.paths import ROOT

PAGE: Final = DOCS / "architecture.md"
PROJECT: Final[dict[str, Any]] = tomli.loads((ROOT / "pyproject.toml").read_text())["tool"]
TOPS: Final[list[str]] = PROJECT["hatch"]["build"]["targets"]["wheel"]["packages"]
FRONT_DOORS: Final = {"ledger", "ledger.adapters"}
"""What adapters may import of the core."""


def packages(top: str) -> list[Path]:
    """The folders of a package and of those within it, from the root."""
    return sorted(file.parent.relative_to(ROOT) for file in (ROOT / top).rglob("__init__.py"))


def purpose(folder: Path) -> str:
    """The first line of a package's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text()))
    assert text, f"{folder} has no docstring"
    return text.splitlines()[0]


def floors() -> list[list[str]]:
    """The floors that import-linter keeps, the highest first."""
    [contract] = (one for one in PROJECT["importlinter"]["contracts"] if one.get("containers") == ["ledger"])
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


@cache
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*(Path(top).name for top in TOPS), cache_dir=None)


def room(module: str) -> str:
    """The package of the core, or the module beside them, that a module is in."""
    return module.split(".")[1]


def test_the_tree_is_that_of_the_code_with_the_purpose_of_each_package() -> None:
    folders = [folder for top in TOPS for folder in packages(top)]
    rows = [[f"`{folder}/`", purpose(folder)] for folder in folders]
    matches(PAGE, "tree", table(["package", "what it is for"], rows))


def test_the_floors_on_the_page_are_those_that_import_linter_keeps() -> None:
    rows = [" | ".join(rooms) for rooms in floors()]
    matches(PAGE, "floors", fenced("\n".join(rows)))


def test_every_package_and_module_of_the_core_stands_on_one_floor() -> None:
    standing = [one for rooms in floors() for one in rooms]
    entries = {path.stem for path in (ROOT / "ledger").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert sorted(standing) == sorted(
        entry for entry in entries if not entry.startswith("__") and entry not in {"py"}
    )


def test_nothing_of_the_core_imports_its_own_floor_or_a_higher_one() -> None:
    floor_of = {one: number for number, rooms in enumerate(floors()) for one in rooms}
    found = 0
    graph = imports()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            inside = [name.startswith("ledger.") for name in (importer, imported)]
            if all(inside) and room(importer) != room(imported):
                found += 1
                assert floor_of[room(importer)] < floor_of[room(imported)] or is_ground(importer, imported), (
                    f"{importer} imports {imported}"
                )
    assert found > 50


def is_ground(importer: str, imported: str) -> bool:
    """Whether both are of the ground floor: modules that stand alone, without a circle among them."""
    ground = floors()[-1]
    return room(importer) in ground and room(imported) in ground


def test_there_is_no_circle_among_packages() -> None:
    arrows: dict[str, set[str]] = {}
    graph = imports()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            first, second = package_of(importer), package_of(imported)
            if first != second:
                arrows.setdefault(first, set()).add(second)
    waiting = set(arrows) | {one for targets in arrows.values() for one in targets}
    while free := {one for one in waiting if not arrows.get(one, set()) & waiting}:
        waiting -= free
    assert waiting == set()


def package_of(module: str) -> str:
    """The room of a module of the core, the adapter of any other; the front doors stand above the rooms."""
    parts = module.split(".")
    return module if module in FRONT_DOORS else ".".join(parts[:2]) if parts[0] == "ledger" else parts[0]


def test_adapters_import_the_front_doors_alone() -> None:
    graph = imports()
    found = 0
    for importer in graph.modules:
        if importer.startswith("ledger_") and not importer.startswith("ledger_migrations"):
            for imported in graph.find_modules_directly_imported_by(importer):
                if imported.split(".")[0] == "ledger":
                    found += 1
                    assert imported in FRONT_DOORS, f"{importer} imports {imported}"
    assert found


OneInterval = tuple[list[str], Ledger, dict[str, str]]


@pytest.fixture
def one_interval(tmp_path: Path) -> OneInterval:
    """The journal's lines and the ledger of a recording of one stage, and short names for its ids."""
    path, clock = tmp_path / "startup.db", FakeClock(5_000_000_000)
    recorder = Recorder.open(path, clock=clock)
    with recorder.stage("torch_compile", role="encoder", source="monitor", component="VisionBlock"):
        clock.advance(12_950_000_000)
    [journal] = (tmp_path / "startup.db.journal").glob("*.jsonl")
    lines = journal.read_text().splitlines()
    recorder.close()
    event = json.loads(lines[-1])
    return lines, Ledger.open(path), {event["session"]: "20261128-…", event["process"]: "4711-…"}


def test_the_way_of_one_event_is_as_it_is_shown(one_interval: OneInterval) -> None:
    lines, ledger, names = one_interval

    def shown(text: str) -> str:
        for name, short in names.items():
            text = text.replace(name, short)
        return text

    columns = "process, seq, kind, at_ns, interval, stage, role"
    events = ledger.sql(f"SELECT {columns} FROM events WHERE kind LIKE 'stage_%' ORDER BY seq")
    [interval] = ledger.sql(
        "SELECT interval, stage, role, source, duration_ns, is_top_level, outcome FROM intervals"
    )
    [total] = ledger.sql("SELECT role, activity, total_ns FROM role_totals")
    thread = json.loads(lines[-2])["thread"]
    stages = "\n".join(lines[-2:]).replace(thread, "MainThread")
    matches(PAGE, "lines", fenced(shown(stages), "json"))
    rows = [*events, interval, total]
    text = "\n".join(shown(json.dumps(row)) for row in rows)
    matches(PAGE, "rows", fenced(text, "json"))
    ledger.close()


def test_what_a_change_touches_is_what_contributors_read() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Adding one of a kind")[2]
    rows = [line for line in text.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert rows
    matches(PAGE, "kinds", "\n".join(rows))


def test_the_files_that_a_change_touches_are_there() -> None:
    text = PAGE.read_text().partition("## What a change touches")[2]
    files = [name for name in re.findall(r"`([\w/.]+)`", text) if "/" in name and "NAME" not in name]
    assert files
    assert [name for name in files if not (ROOT / name).exists()] == []
