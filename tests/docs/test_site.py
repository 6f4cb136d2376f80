"""The handbook builds without a warning and loads nothing from elsewhere; links of the README resolve."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from tests.support.handbook import DOCS, README
from tests.support.paths import ROOT

_LOADS: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_LIMIT: Final = 150_000
_README_LIMIT: Final = 10_000


class _Loaded(HTMLParser):
    """What a page loads as it opens."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(_LOADS.get(tag, ""))
        if address and values.get("rel") not in ("canonical", "prev", "next"):
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the handbook, where a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    assert {page.stem for page in DOCS.glob("*.md")} <= {page.stem for page in site.glob("*.html")}


def test_a_page_loads_nothing_from_another_host(site: Path) -> None:
    loaded: list[str] = []
    for page in site.glob("*.html"):
        parser = _Loaded()
        parser.feed(page.read_text())
        loaded += parser.addresses
    assert loaded
    assert [address for address in loaded if re.match(r"(https?:)?//", address)] == []
    styles = "".join(file.read_text() for file in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", styles) == []


def test_the_links_of_the_readme_lead_somewhere() -> None:
    links = [one for one in re.findall(r"\]\(([^)]+)\)", README.read_text()) if "://" not in one]
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        assert (ROOT / name).exists(), link
        if anchor:
            text = (ROOT / name or README).read_text()
            headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, link


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= _README_LIMIT


def test_pictures_are_small_and_shown() -> None:
    text = "".join(page.read_text() for page in DOCS.glob("*.md"))
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.suffix == ".png"
        assert picture.stat().st_size < _LIMIT, picture.name
        assert f"images/{picture.name}" in text
