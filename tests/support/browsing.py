"""Opens pages in a real headless Chromium. What they ask of the network, or say on the console, is an error.

With COMPILE_LEDGER_SCREENSHOTS=FOLDER what was opened is kept there, to be looked at.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.support.chromium import NoBrowser, chromium

SCREENSHOTS: Final = os.environ.get("COMPILE_LEDGER_SCREENSHOTS")
DRAWN: Final = "document.documentElement.dataset.drawnMs"
WIDE: Final = {"width": 1280, "height": 900}
NARROW: Final = {"width": 360, "height": 740}
PATIENCE_MS: Final = 60_000
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        found = chromium()
    except NoBrowser as error:
        if os.environ.get("CI"):
            pytest.fail(f"NO BROWSER: {error}")
        pytest.skip(f"NO BROWSER, THE PAGE IS NOT TESTED: {error}")
    with sync_playwright() as playwright:
        # Root, as which CI runs, has no sandbox of Chromium's.
        launched = playwright.chromium.launch(
            executable_path=found.executable, args=["--no-sandbox"], env={**os.environ, **found.environment}
        )
        yield launched
        launched.close()


@pytest.fixture
def opened(browser: Browser, pages: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a page by its name; what it asks of the network, and what its console says, is an error."""
    faults: list[str] = []
    contexts = []

    def note(request: Request) -> None:
        if not request.url.startswith("file:") or request.resource_type != "document":
            faults.append(f"asked for {request.url}")

    def open_page(name: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", note)
        page.on("console", lambda message: faults.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(pages[name].as_uri())
        page.wait_for_function(DRAWN, timeout=PATIENCE_MS)
        return page

    yield open_page
    for context in contexts:
        if SCREENSHOTS:
            name = re.sub(r"\W+", "-", request.node.name).strip("-")
            context.pages[0].screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
        context.close()
    assert faults == []


def variable(page: Page, name: str) -> str:
    return page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", name)


def colour(page: Page, selector: str, what: str) -> tuple[float, ...]:
    """Return a colour that is really shown, as numbers from 0 to 255."""
    shown = page.evaluate(
        "([selector, what]) => getComputedStyle(document.querySelector(selector))[what]", [selector, what]
    )
    return tuple(float(number) for number in re.findall(r"[\d.]+", shown))[:3]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2's contrast ratio."""

    def luminance(rgb: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (n / 255 for n in rgb)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def rgb(text: str) -> tuple[float, ...]:
    return tuple(int(text.strip()[place : place + 2], 16) for place in (1, 3, 5))
