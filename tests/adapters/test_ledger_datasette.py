"""A real Datasette shows a ledger with what is exported for it: descriptions, and the saved queries."""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette
from typer.testing import CliRunner

from ledger import Event, Ledger, LedgerError, parse_event, saved_queries
from ledger.adapters import Exporter, schema
from ledger.cli import app
from ledger.events.rows import to_row
from ledger.interchange.exporters import export, exporter_of
from ledger.storage.store import Store
from ledger.testing import MemoryLedger, SessionBuilder
from ledger_datasette import MetadataExporter, exporter
from ledger_datasette.table_display import FACET_SIZE, TABLE_DISPLAYS
from tests.reports.test_html import DATA, HOSTILE, LONG, hostile_events

NAMES = [
    "startup.db", "no suffix", "a b.c's \"<script>.db", "100%.db", "two\nlines.sqlite", "~2F.db",
    "a+b&c;d=e.db", "ü.db", ".db", "-h.db", "a.tar.gz",
]  # fmt: skip
NOT_OPENED = ["%41.db", "a?b.db", "a#b.db", "_internal.db", "_internal"]


class TableDisplay(HTMLParser):
    """What a page of Datasette's shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.descriptions: list[str] = []
        self.columns: dict[str, str] = {}
        self.errors: list[str] = []
        self.facets: list[str] = []
        self.inputs: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self._inside: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag not in ("meta", "link", "input", "br", "img"):
            self._inside.append((tag, known.get("class", "")))
        if known.get("class") == "facet-info-name":
            self.facets.append("")
        if tag == "a":
            self.links.append(known.get("href", ""))
        if tag == "input":
            self.inputs.append(known.get("name", ""))
        for kind, texts in (
            (("h1", ""), self.headings),
            (("div", "metadata-description"), self.descriptions),
        ):
            if (tag, known.get("class", "")) == kind:
                texts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ("", "")
        if inside[0] in ("script", "style"):
            return
        self.text += data
        if inside[0] == "h1":
            self.headings[-1] += data.strip()
        elif inside == ("div", "metadata-description"):
            self.descriptions[-1] += data.strip()
        elif inside[0] == "dt":
            self.columns[data] = ""
        elif inside[0] == "dd":
            self.columns[list(self.columns)[-1]] += data
        elif inside[1] in ("message-error", "facets-timed-out"):
            self.errors.append(data.strip())
        elif inside[0] == "strong" and ("p", "facet-info-name") in self._inside:
            self.facets[-1] += data.strip()


class Served:
    """A ledger in a Datasette that runs in this process."""

    def __init__(self, file: Path) -> None:
        self._datasette = Datasette([str(file)], metadata=json.loads(exported(file)))
        (self.name,) = (name for name in self._datasette.databases if name != "_internal")

    def get(self, *paths: str) -> list[Any]:
        """Return the answers to some requests; each must be one."""

        async def answers() -> list[Any]:
            return [await self._datasette.client.get(path) for path in paths]

        found = asyncio.run(answers())
        assert [answer.status_code for answer in found] == [200] * len(paths)
        return found

    def show(self, *paths: str) -> list[TableDisplay]:
        return [TableDisplay(answer.text) for answer in self.get(*paths)]

    def address(self, table: str | None = None, form: str = "") -> str:
        """Return the address of a table, a view or a query, or else of the ledger."""
        urls = self._datasette.urls
        return str(urls.database(self.name) if table is None else urls.table(self.name, table)) + form

    def close(self) -> None:
        for database in self._datasette.databases.values():
            database.close()


def keep(file: Path, events: Sequence[Event]) -> Path:
    """Put events into a ledger."""
    store = Store.open(file)
    with store.transaction():
        store.append(list(map(to_row, events)))
    store.close()
    Ledger.open(file).close()
    return file


def exported(file: Path) -> bytes:
    """Return what is exported for a ledger."""
    with Ledger.open(file) as ledger:
        return b"".join(exporter().chunks(ledger, ledger.sessions()))


@pytest.fixture(scope="module")
def ledger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of real starts."""
    lines = [
        line
        for name in ("demo", "vllm", "compilations")
        for line in (DATA / f"{name}.jsonl").read_bytes().splitlines()
    ]
    return keep(tmp_path_factory.mktemp("ledger") / "startup.db", [parse_event(line) for line in lines])


@pytest.fixture(scope="module")
def served(ledger_file: Path) -> Iterator[Served]:
    served = Served(ledger_file)
    yield served
    served.close()


def columns_of(store: Store, name: str) -> list[str]:
    return [str(column) for (column,) in store.select("SELECT name FROM pragma_table_xinfo(?)", [name])]


class TestCatalogue:
    def test_it_has_every_table_view_and_column_of_a_new_ledger_and_no_other(self, path: Path) -> None:
        store = Store.open(path)
        found = store.select("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        names = [str(name) for (name,) in found]
        columns = {name: columns_of(store, name) for name in names}
        store.close()
        assert {name: list(relation.columns) for name, relation in schema().items()} == columns

    def test_all_that_is_said_is_a_sentence_on_one_line(self) -> None:
        for relation in schema().values():
            for text in (relation.description, *relation.columns.values()):
                assert re.fullmatch(r"\S.*\.", text)

    def test_units_are_stated(self) -> None:
        for name, relation in schema().items():
            for column, text in relation.columns.items():
                unit = (
                    "nanoseconds"
                    if f"_{column}".endswith("_ns")
                    else "seconds"
                    if column.endswith("_s")
                    else ""
                )
                assert unit in text, f"{name}.{column}"

    def test_what_is_shown_is_there(self) -> None:
        assert {name for name, known in schema().items() if not known.is_internal} - {"ledger_info"} == set(
            TABLE_DISPLAYS
        )
        for name, shown in TABLE_DISPLAYS.items():
            assert {shown.by, *shown.facets} <= schema()[name].columns.keys()


def test_it_is_an_exporter_by_its_name() -> None:
    found: Exporter = exporter_of("datasette")
    assert isinstance(found, MetadataExporter)
    assert found.is_text


def test_the_front_page_and_the_ledgers_say_what_there_is(served: Served) -> None:
    front, ledger = served.show("/", served.address())
    assert (front.headings, len(front.descriptions)) == (["compile-ledger"], 1)
    assert ledger.headings == ["startup: what took the time"]
    assert "Start with the queries." in ledger.descriptions[0]
    for text in saved_queries().values():
        assert text.splitlines()[0].removeprefix("-- ") in ledger.text
    for name, relation in schema().items():
        assert (f"/startup/{name}" in ledger.links) == (not relation.is_internal), name


@pytest.mark.parametrize("name", schema())
def test_the_page_of_a_table_or_view_describes_it_and_its_columns(served: Served, name: str) -> None:
    (shown,) = served.show(served.address(name))
    relation = schema()[name]
    assert shown.descriptions == [relation.description]
    assert shown.columns == relation.columns
    assert shown.errors == []
    if name in TABLE_DISPLAYS:
        assert f"sorted by {TABLE_DISPLAYS[name].by}" in shown.text or "0 records" in shown.text
        assert {facet.rstrip("0123456789>") for facet in shown.facets} == set(TABLE_DISPLAYS[name].facets)


def test_a_table_can_be_sorted_and_filtered_by_each_column(served: Served) -> None:
    for name in ("intervals", "role_totals", "reconciliation"):
        columns = schema()[name].columns
        served.get(*(served.address(name) + f"?_sort_desc={column}" for column in columns))
        served.get(*(served.address(name) + f"?{column}__exact=1" for column in columns))
    (answer,) = served.get(served.address("intervals", ".json?_shape=array&role=encoder&_facet=stage"))
    assert {row["role"] for row in answer.json()} == {"encoder"}


def test_a_column_with_many_values_fills_no_screen(served: Served) -> None:
    (answer,) = served.get(served.address("intervals", ".json"))
    facets = answer.json()["facet_results"]
    assert facets["stage"]["truncated"]
    assert max(len(facet["results"]) for facet in facets.values()) == FACET_SIZE


@pytest.mark.parametrize("name", saved_queries())
def test_a_saved_query_answers_as_it_does_to_us(served: Served, ledger_file: Path, name: str) -> None:
    address = served.address(name if name not in schema() else f"{name}_query")
    page, rows = served.get(address, f"{address}.json?_shape=array")
    with Ledger.open(ledger_file) as ledger:
        assert rows.json() == json.loads(json.dumps(ledger.sql(saved_queries()[name])))
    shown = TableDisplay(page.text)
    assert shown.errors == []
    assert shown.headings == [saved_queries()[name].splitlines()[0].removeprefix("-- ")]
    assert f"--query {name}." in shown.descriptions[0]
    assert [
        name for name in shown.inputs if name not in ("", "_hide_sql", "_show_sql")
    ] == []  # it asks nothing


@pytest.mark.parametrize("name", sorted(saved_queries().keys() & schema().keys()))
def test_a_query_hides_no_table_of_its_name(served: Served, name: str) -> None:
    (answer,) = served.get(served.address(name, ".json?_shape=array"))
    assert answer.json()[0].keys() - {"rowid"} == schema()[name].columns.keys()


@pytest.mark.parametrize("text", [HOSTILE, LONG], ids=["hostile", "long"])
def test_what_is_in_a_ledger_stays_text(tmp_path: Path, text: str) -> None:
    plain = Served(keep(tmp_path / "plain.db", hostile_events("plain")))
    served = Served(keep(tmp_path / "startup.db", hostile_events(text)))
    for name in [*TABLE_DISPLAYS, *(name for name in saved_queries() if name not in schema())]:
        (expected,), (shown,) = plain.show(plain.address(name)), served.show(served.address(name))
        assert sorted(set(shown.tags)) == sorted(set(expected.tags)), name
        assert shown.tags.count("script") == expected.tags.count("script")
        if name in ("sessions", "processes", "role_totals", "intervals", "claims", "milestones", "gaps"):
            assert text[:1_000] in shown.text, name
    plain.close()
    served.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_ledger_may_be_called_anything(served: Served, tmp_path: Path, name: str) -> None:
    (plain,) = served.show(served.address())
    served = Served(keep(tmp_path / name, hostile_events("plain")))
    ledger, table, query = served.show(served.address(), served.address("role_totals"), served.address("why"))
    assert ledger.headings == [f"{Path(name).stem}: what took the time"]
    assert table.columns == schema()["role_totals"].columns
    assert (query.errors, len(query.descriptions)) == ([], 1)
    assert (set(ledger.tags), ledger.tags.count("script")) == (set(plain.tags), plain.tags.count("script"))
    served.close()


@pytest.mark.parametrize("name", NOT_OPENED)
def test_a_name_that_datasette_can_not_open_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(LedgerError, match=r"rename it$") as refused:
        exported(keep(tmp_path / name, hostile_events("plain")))
    assert str(refused.value).count("\n") == 0
    datasette = Datasette([str(tmp_path / name)])

    async def is_shown() -> bool:
        answer = await datasette.client.get(datasette.urls.table(Path(name).stem, "role_totals"))
        return answer.status_code == 200

    assert not asyncio.run(is_shown())


def test_what_is_exported_does_not_depend_on_what_is_in_the_ledger(ledger_file: Path, tmp_path: Path) -> None:
    other = keep(tmp_path / ledger_file.name, hostile_events(HOSTILE))
    assert exported(other) == exported(ledger_file)


def test_the_commands_together_show_a_ledger(ledger_file: Path, tmp_path: Path) -> None:
    metadata = tmp_path / "metadata.json"
    ran = CliRunner().invoke(app, ["export", str(ledger_file), "--format", "datasette", "-o", str(metadata)])
    assert ran.exit_code == 0
    command = [
        sys.executable,
        "-m",
        "datasette",
        "serve",
        str(ledger_file),
        "--metadata",
        str(metadata),
        "-p",
        "0",
    ]
    serving = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert serving.stderr is not None
        said = iter(serving.stderr.readline, "")
        address = next(found[1] for line in said if (found := re.search(r"running on (\S+)", line)))
        with urllib.request.urlopen(f"{address}/startup/role_totals") as answer:
            shown = TableDisplay(answer.read().decode())
        assert shown.descriptions == [schema()["role_totals"].description]
    finally:
        serving.terminate()
        serving.communicate()


def test_there_is_nothing_to_redact() -> None:
    builder = SessionBuilder()
    builder.begin()
    ledger = MemoryLedger(builder.events)
    with pytest.raises(LedgerError, match="this format can't be redacted"):
        list(export(ledger, ["session"], exporter_of("datasette"), redact=True))
