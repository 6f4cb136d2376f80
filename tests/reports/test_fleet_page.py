"""The page of a fleet, in a real browser: it says what the queries say, and its links open pages."""

from pathlib import Path

import pytest
from playwright.sync_api import expect
from typer.testing import CliRunner

from ledger import LedgerError
from ledger.cli import app
from ledger.fleet import Fleet
from tests.support.browsing import Open, browser, opened  # noqa: F401
from tests.support.fleet_pages import write_fleet_page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"fleet": write_fleet_page(tmp_path_factory.mktemp("fleet"))}


def test_the_page_has_the_charts_and_the_rows_of_the_queries(pages: dict[str, Path], opened: Open) -> None:  # noqa: F811
    page = opened("fleet")
    expect(page.locator("#trend svg")).to_be_visible()
    expect(page.locator("#stages svg")).to_be_visible()
    assert page.locator("header strong").inner_text() == "73 starts, of which 57 became ready"
    with Fleet.open(str(pages["fleet"].parent / "lake")) as fleet:
        worst = [str(row["session"]) for row in fleet.query("slowest_starts")]
    assert page.locator("#worst tbody tr td:first-child").all_inner_texts()[:10] == worst[:10]
    # What is markup in a label is text.
    assert page.locator("#cold_against_warm").get_by_text("it's <b>odd</b>").count() == 1


def test_each_of_the_slowest_starts_opens_its_own_page(pages: dict[str, Path], opened: Open) -> None:  # noqa: F811
    page = opened("fleet")
    links = page.locator("#worst a")
    assert links.count() == 10
    for link in links.all():
        assert (pages["fleet"].parent / str(link.get_attribute("href"))).is_file()
    session = links.first.inner_text()
    links.first.click()
    page.wait_for_load_state("domcontentloaded")
    expect(page.locator("header").get_by_text(f"session {session}")).to_be_visible()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fleet", "lake"], "--fleet needs --html"),
        (["startup.db", "--fleet", "lake", "--html", "x.html"], "--fleet goes with --html and --force alone"),
        (["--fleet", "lake", "--html", "-"], "there is no lake here"),
        ([], "name a ledger, or the Parquet files of many machines"),
    ],
)
def test_wrong_use_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["report", *arguments]).exception
    assert isinstance(found, LedgerError)
    assert message in str(found)


def test_a_page_that_is_there_is_not_overwritten(pages: dict[str, Path]) -> None:
    page = pages["fleet"]
    found = CliRunner().invoke(app, ["report", "--fleet", str(page.parent / "lake"), "--html", str(page)])
    assert "already exists" in str(found.exception)


def test_the_page_of_a_start_that_is_there_is_said_before_the_lake_is_asked(
    pages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new-starts").mkdir()
    (tmp_path / "new-starts" / "02.html").write_text("before")
    monkeypatch.setattr("ledger.fleet.Fleet.query", lambda *_: pytest.fail("the lake was asked"))
    lake = pages["fleet"].parent / "lake"
    found = CliRunner().invoke(app, ["report", "--fleet", str(lake), "--html", str(tmp_path / "new.html")])
    assert "02.html: already exists" in str(found.exception)
