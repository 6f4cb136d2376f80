"""Takes the pictures of the handbook, from kept starts: `python -m tests.take.screenshots`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.support.chromium import chromium
from tests.support.fleet_pages import write_fleet_page
from tests.support.handbook import DOCS
from tests.support.recordings import write_ledger

IMAGES: Final = DOCS / "images"
_VIEW: Final[Any] = {"width": 1200, "height": 760}
_COLOURS: Final = 128
_TIMELINE: Final = "Timeline"


def main() -> None:
    """Write the handbook's pictures."""
    IMAGES.mkdir(exist_ok=True)
    for path in take(IMAGES):
        print(f"{path}: {path.stat().st_size:,} bytes")


def take(folder: Path) -> list[Path]:
    """Write the pages of a cold start and of a fleet, and return the pictures of them, in a folder."""
    found = chromium()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        written = write_page(Path(name))
        # Root, as which CI runs, has no sandbox of Chromium's.
        browser = playwright.chromium.launch(
            executable_path=found.executable, args=["--no-sandbox"], env={**os.environ, **found.environment}
        )
        page = browser.new_page(viewport=_VIEW)
        page.goto(written.as_uri())
        page.wait_for_function("document.documentElement.dataset.drawnMs")
        taken = [keep(page, folder / "page.png")]
        page.get_by_role("heading", name=_TIMELINE).scroll_into_view_if_needed()
        page.get_by_role("heading", name=_TIMELINE).evaluate("heading => heading.scrollIntoView()")
        taken.append(keep(page, folder / "timeline.png"))
        page.goto(write_fleet_page(Path(name)).as_uri())
        page.wait_for_function("document.documentElement.dataset.drawnMs")
        taken.append(keep(page, folder / "fleet.png"))
        browser.close()
    return taken


def write_page(folder: Path) -> Path:
    """Write the page of the cold start, by the command that a user gives."""
    ledger, written = folder / "startup.db", folder / "startup.html"
    write_ledger("vllm", ledger)
    command = [str(Path(sys.executable).with_name("compile-ledger")), "report", str(ledger)]
    subprocess.run([*command, "--session", "vllm cold", "--html", str(written)], check=True)
    return written


def keep(page: Page, path: Path) -> Path:
    """Write what the page shows now, in few colours, and return the file."""
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    return path


if __name__ == "__main__":
    main()
