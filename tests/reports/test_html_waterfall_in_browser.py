"""The first steps of the page in a real Chromium: jumps, zoom, search, sorting, small screens and paper."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from ledger.reports.html import page as text_of_page
from ledger.reports.html import subject_of
from ledger.reports.html.families import FAMILIES
from ledger.testing import MemoryLedger, SessionBuilder
from tests.reports.test_html import HOSTILE, LONG, SECOND, deep_session, hostile_events, kept
from tests.support.browsing import NARROW, Open, colour, contrast, rgb, variable
from tests.support.found import seven_findings

TITLES = [family for family in FAMILIES if family != "waiting"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the pages that are opened, by name."""
    vllm, compilations = kept("vllm"), kept("compilations")
    shown = {
        "vllm": [seven_findings(subject_of(vllm, "vllm cold"))],
        "both": [subject_of(vllm, "vllm cold"), seven_findings(subject_of(vllm, "vllm warm"))],
        "compilations": [seven_findings(subject_of(compilations, compilations.session()))],
        "hostile": [seven_findings(subject_of(MemoryLedger(hostile_events(HOSTILE)), HOSTILE), HOSTILE)],
        "long": [seven_findings(subject_of(MemoryLedger(hostile_events(LONG)), LONG), LONG)],
        "large": [subject_of(MemoryLedger(deep_session(20_000).events), "session")],
        "excerpt": [subject_of(MemoryLedger(deep_session(20_000).events), "session", most=1_000)],
        "many": [subject_of(MemoryLedger(many_processes()), "session")],
    }
    folder = tmp_path_factory.mktemp("pages")
    written = {name: folder / f"{name}.html" for name in shown}
    for name, subjects in shown.items():
        written[name].write_text(text_of_page(subjects))
    return written


def many_processes() -> list[object]:
    """Return a session of forty processes, of which the first lives longest."""
    events: list[object] = []
    for number in range(40):
        builder = SessionBuilder("session", f"process-{number:02}")
        builder.begin(number * SECOND)
        builder.stop((number + 1) * SECOND, builder.start(number * SECOND, "model_load"))
        builder.end((number + 2) * SECOND if number else 60 * SECOND)
        events += builder.events
    return events


def waterfall(page: Page, side: str = "a") -> Locator:
    return page.locator(f"#{side}-waterfall")


def wait_until_drawn(page: Page) -> None:
    """Wait for the next frame: in it all that was asked for is drawn anew, with new elements."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def lane(page: Page, name: str) -> Locator:
    return waterfall(page).get_by_role("button", name=name)


def plot(page: Page, side: str = "a") -> FloatRect:
    """Scroll to the waterfall; return where its axis is then."""
    waterfall(page, side).evaluate("element => element.scrollIntoView()")
    box = waterfall(page, side).locator(".axis").bounding_box()
    assert box is not None
    return box


def span_shown(page: Page) -> tuple[float, float]:
    """Return between which seconds the waterfall shows the start."""
    text = page.locator(".waterfall-tools .range").inner_text()
    begin, end = (float(number) for number in re.findall(r"-?[\d.]+", text))
    return begin, end


def drag(page: Page, begin: float, end: float) -> None:
    """Drag over parts of the plot, from 0 to 1."""
    box = plot(page)
    page.mouse.move(box["x"] + begin * box["width"], box["y"] + 45)
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + 60, steps=4)


def test_a_finding_leads_to_its_interval_which_is_marked(opened: Open) -> None:
    page = opened("vllm")
    link = page.locator(".findings a").first
    name = link.inner_text()
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".marked")).to_contain_text(f"Marked: {name}, ")
    mark = waterfall(page).locator("rect.mark")
    expect(mark).to_have_count(1)
    expect(mark).to_be_in_viewport()
    assert re.search(r"#interval=[^/]+/\d+$", page.url)
    assert page.evaluate("document.activeElement.id") == "a-waterfall"
    expect(lane(page, "Worker rank 0")).to_have_attribute("aria-expanded", "true")
    # The same link marks it again, wherever the reader has gone meanwhile.
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(mark).not_to_be_in_viewport()
    link.focus()
    page.keyboard.press("Enter")
    expect(mark).to_be_in_viewport()


def test_an_address_with_an_interval_opens_the_page_there(opened: Open) -> None:
    page = opened("vllm")
    page.locator(".findings a").last.evaluate("link => link.click()")
    before = page.locator(".marked").inner_text()
    assert before
    page.reload()
    page.wait_for_function("document.documentElement.dataset.drawnMs")
    expect(page.locator(".marked")).to_have_text(before)
    expect(waterfall(page).locator("rect.mark")).to_be_in_viewport()


@pytest.mark.parametrize("address", ["#interval=nobody/1", "#interval=%/5", "#interval=%E0%A4%A/5"])
def test_an_address_of_an_unknown_interval_says_so(opened: Open, address: str) -> None:
    page = opened("vllm")
    page.evaluate("address => { location.hash = address; }", address)
    expect(page.locator(".marked")).to_have_text(
        re.compile(r"^No interval \d of the process .* on this page")
    )


def test_an_interval_too_short_to_be_seen_is_zoomed_to(opened: Open) -> None:
    page = opened("vllm")
    ended = [one for one in kept("vllm").timeline("vllm cold").intervals if one.duration_ns]
    interval = min(ended, key=lambda one: one.duration_ns or 0)
    page.evaluate(
        "address => { location.hash = address; }", f"interval={interval.process}/{interval.interval}"
    )
    expect(page.locator(".marked")).to_contain_text(f"Marked: {interval.stage}")
    begin, end = span_shown(page)
    assert end - begin < 1
    expect(waterfall(page).locator("rect.mark")).to_be_in_viewport()


def test_dragging_zooms_to_what_was_dragged_over(opened: Open) -> None:
    page = opened("vllm")
    whole = span_shown(page)
    drag(page, 0.25, 0.5)
    expect(waterfall(page).locator(".band")).to_be_visible()
    page.mouse.up()
    expect(waterfall(page).locator(".band")).to_be_hidden()
    expect(page.locator(".waterfall-tools .range")).not_to_have_text(f"{whole[0]:.1f} s to {whole[1]:.1f} s")
    assert span_shown(page) == pytest.approx((whole[1] / 4, whole[1] / 2), abs=0.3)
    assert page.url.endswith("vllm.html")  # and nothing was clicked
    box = plot(page)
    page.mouse.dblclick(box["x"] + 5, box["y"] + 20)
    expect(page.locator(".waterfall-tools .range")).to_have_text(f"{whole[0]:.1f} s to {whole[1]:.1f} s")


def test_escape_ends_a_drag_without_zooming(opened: Open) -> None:
    page = opened("vllm")
    whole = span_shown(page)
    waterfall(page).focus()
    drag(page, 0.25, 0.5)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert span_shown(page) == whole


def test_a_click_marks_an_interval_where_it_is(opened: Open) -> None:
    page = opened("vllm")
    bar = waterfall(page).locator("rect.stage").nth(3)
    bar.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    bar.click()
    expect(page.locator(".marked")).to_contain_text("Marked: ")
    assert "#interval=" in page.url
    assert page.evaluate("scrollY") == before
    expect(waterfall(page).locator("rect.mark")).to_have_count(1)


def test_the_waterfall_is_moved_with_the_keyboard(opened: Open) -> None:
    page = opened("vllm")
    whole = span_shown(page)[1]
    waterfall(page).focus()
    assert "solid 2px" in page.evaluate("getComputedStyle(document.activeElement).outline")
    for key, begin, end in (
        ("+", 1 / 4, 3 / 4),
        ("+", 3 / 8, 5 / 8),
        ("ArrowRight", 0.40625, 0.65625),
        ("Home", 0, 1 / 4),
        ("0", 0, 1),
    ):
        page.keyboard.press(key)
        page.wait_for_function(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true))))"
        )
        assert span_shown(page) == pytest.approx((begin * whole, end * whole), abs=0.2), key


def test_a_process_opens_and_closes_with_the_keyboard(opened: Open) -> None:
    page = opened("vllm")
    worker = lane(page, "Worker rank 0")
    closed = waterfall(page).locator("rect.stage").count()
    worker.focus()
    page.keyboard.press("Enter")
    expect(worker).to_have_attribute("aria-expanded", "true")
    assert waterfall(page).locator("rect.stage").count() > closed
    assert waterfall(page).get_by_text(re.compile("^torch_compile ")).count() > 0
    page.keyboard.press("Enter")
    expect(worker).to_have_attribute("aria-expanded", "false")
    assert waterfall(page).locator("rect.stage").count() == closed


def test_waiting_holes_and_lives_look_otherwise(opened: Open) -> None:
    page = opened("vllm")
    assert waterfall(page).get_by_text("waiting for the engine").count() == 1
    waiting = waterfall(page).locator("rect.family-waiting").first
    assert "waits" in waiting.evaluate("element => getComputedStyle(element).fill")
    hole = waterfall(page).locator("rect.hole").first
    assert "hole" in hole.evaluate("element => getComputedStyle(element).fill")
    assert waterfall(page).locator("rect.life").count() == len(kept("vllm").timeline("vllm cold").processes)


def test_a_tip_says_what_is_under_the_mouse(opened: Open) -> None:
    page = opened("vllm")
    text = waterfall(page).get_by_text("memory_profile")
    text.scroll_into_view_if_needed()
    box = text.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    tip = page.locator(".tip")
    expect(tip).to_be_visible()
    assert re.match(r"memory_profile\s+32\.801 s, from 3[\d.]+ s on\s+Worker rank 0", tip.inner_text())
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()


def test_intervals_are_searched_by_name(opened: Open) -> None:
    page = opened("compilations")
    find = page.get_by_label("Find an interval")
    find.fill("DYNAMO scaled")
    matches = page.locator(".matches")
    expect(matches).to_have_text("4 found")
    for number, compile_id in enumerate(("3/0", "3/1", "3/2"), 1):
        page.keyboard.press("Enter")
        expect(matches).to_have_text(f"{number} of 4")
        expect(page.locator(".marked")).to_contain_text(f"dynamo [{compile_id}] scaled")
    page.get_by_role("button", name="Previous match").click()
    expect(matches).to_have_text("2 of 4")
    expect(waterfall(page).locator("rect.mark")).to_be_in_viewport()
    find.fill("there is no such stage")
    expect(matches).to_have_text("0 found")
    find.fill("")
    expect(matches).to_have_text("")


def functions(page: Page) -> list[str]:
    return page.locator("[data-table=compilations] tbody tr:not([hidden]) td:first-child").all_inner_texts()


def seconds_of(page: Page) -> list[float]:
    cells = page.locator("[data-table=compilations] tbody tr:not([hidden]) td.number").all_inner_texts()
    return [float(text) for text in cells]


def test_compilations_are_sorted_by_any_column(opened: Open) -> None:
    page = opened("compilations")
    assert seconds_of(page) == sorted(seconds_of(page), reverse=True)
    head = page.locator("[data-table=compilations] th", has_text="seconds")
    expect(head).to_have_attribute("aria-sort", "descending")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert seconds_of(page) == sorted(seconds_of(page))
    page.get_by_label("Sort by").select_option("function")
    assert functions(page) == sorted(functions(page), key=str.lower)
    expect(head).not_to_have_attribute("aria-sort", re.compile("."))
    page.get_by_label("Sort by").select_option("reason")
    reasons = page.locator("[data-table=compilations] tbody td:nth-child(5)").all_inner_texts()
    assert reasons[0]
    assert not reasons[-1]  # what has none is last


def test_compilations_are_searched(opened: Open) -> None:
    page = opened("compilations")
    search = page.locator("#compilations").get_by_label("Search")
    number = len(functions(page))
    search.fill("recompile SCALED")
    expect(page.locator(".table-tools [role=status]")).to_have_text(f"3 of {number}")
    assert [text.split()[0] for text in functions(page)] == ["scaled"] * 3
    search.fill("")
    assert len(functions(page)) == number


def test_a_compilation_leads_to_its_interval(opened: Open) -> None:
    page = opened("compilations")
    page.locator("[data-table=compilations] a").first.click()
    expect(page.locator(".marked")).to_contain_text("forward")
    expect(waterfall(page).locator("rect.mark")).to_be_in_viewport()


def test_more_findings_are_folded(opened: Open) -> None:
    page = opened("vllm")
    findings = page.locator(".findings > li")
    assert [one.is_visible() for one in findings.all()] == [True] * 5 + [False] * 2
    page.get_by_text("All 7 findings").focus()
    page.keyboard.press("Enter")
    expect(findings.last).to_be_visible()


def test_all_that_is_operated_has_a_name(opened: Open) -> None:
    page = opened("both")
    for element in page.locator("main button, main input, main select, main [role=application]").all():
        expect(element).to_have_accessible_name(re.compile(r"\S"))
    bars = page.locator(".bar")
    assert bars.count() == 2
    for bar in bars.all():
        expect(bar).to_have_accessible_name(re.compile(r"^\d+\.\d{3} s: .*import \d"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_stages_can_be_read_in_both_colour_schemes(opened: Open, scheme: str) -> None:
    page = opened("vllm", color_scheme=scheme)
    paper = colour(page, "body", "backgroundColor")
    on_role = rgb(variable(page, "--on-role"))
    for family in TITLES:
        bar = rgb(variable(page, f"--family-{family}"))
        assert contrast(on_role, bar) >= 4.5, family
        assert contrast(bar, paper) >= 3, family
    for selector in (".share", ".advice", ".pieces small", ".marked", ".lane > button", "th button"):
        assert contrast(colour(page, selector, "color"), paper) >= 4.5, selector


@pytest.mark.parametrize("name", ["vllm", "both", "compilations", "hostile", "long", "large", "many"])
def test_a_narrow_screen_shows_the_first_steps_without_scrolling_sideways(opened: Open, name: str) -> None:
    page = opened(name, viewport=NARROW, has_touch=True)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    for button in waterfall(page).locator(".lane:not([hidden]) > button").all():
        button.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    axis = waterfall(page).locator(".axis").bounding_box()
    assert axis is not None
    assert axis["width"] >= 300


def test_paper_has_all_findings_and_no_tools(opened: Open) -> None:
    page = opened("vllm", color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".findings > li").last).to_be_visible()
    for tools in page.locator(".tools").all():
        expect(tools).to_be_hidden()
    expect(page.locator(".bar")).to_be_visible()
    expect(waterfall(page).locator("rect.stage").first).to_be_visible()


@pytest.mark.parametrize("name", ["hostile", "long"])
def test_hostile_names_in_the_first_steps_do_nothing(opened: Open, name: str) -> None:
    page = opened(name)
    page.locator(".findings a").first.click()
    expect(page.locator(".marked")).to_contain_text("Marked: ")
    wait_until_drawn(page)
    bar = waterfall(page).locator("rect.stage").first
    bar.hover(force=True)
    expect(page.locator(".tip")).to_be_visible()
    page.get_by_label("Find an interval").fill("<script>" if name == "hostile" else "xxx")
    page.keyboard.press("Enter")
    expect(page.locator(".matches")).to_have_text(re.compile("^1 of "))
    assert page.locator(".tip script, .marked script, .findings script, main img, main b").count() == 0
    assert page.title() != "owned"


def test_two_sessions_show_the_same_time(opened: Open) -> None:
    page = opened("both", viewport={"width": 1600, "height": 900})

    def ticks(side: str) -> list[str]:
        return waterfall(page, side).locator(".axis text[text-anchor]").all_text_contents()

    assert ticks("a") == ticks("b")
    before = ticks("b")
    waterfall(page, "b").focus()
    page.keyboard.press("+")
    page.wait_for_function(
        "before => document.querySelector('#b-waterfall .axis text').textContent !== before", arg=before[0]
    )
    assert ticks("a") == ticks("b")
    page.locator("#findings .side").nth(1).locator("a").first.click()
    expect(waterfall(page, "b").locator("rect.mark")).to_have_count(1)
    expect(waterfall(page, "a").locator("rect.mark")).to_have_count(0)


def test_processes_that_live_for_a_moment_are_shown_on_demand(opened: Open) -> None:
    page = opened("many")
    lanes = waterfall(page).locator(".lane > button")
    shown = [one.inner_text() for one in lanes.all() if one.is_visible()]
    assert len(shown) == 14
    assert shown[0] == "process-00"
    page.get_by_role("button", name="Show 26 more processes").click()
    expect(lanes.last).to_be_visible()
    expect(page.get_by_role("button", name="more processes")).to_have_count(0)


def test_paper_has_all_processes(opened: Open) -> None:
    page = opened("many")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(waterfall(page).locator(".lane > button").last).to_be_visible()
    expect(page.locator(".more")).to_be_hidden()


def test_a_large_session_draws_no_more_than_can_be_seen(opened: Open) -> None:
    page = opened("large")
    width = waterfall(page).locator(".axis").evaluate("axis => axis.clientWidth")
    assert page.evaluate("document.getElementById('intervals-data').textContent.length") > 200_000
    waterfall(page).locator(".lane > button").first.click()
    rows = 41
    for _ in range(3):
        assert 0 < waterfall(page).locator("rect").count() < rows * width / 2
        page.get_by_role("button", name="Zoom into the waterfall").click()


def test_what_a_page_has_not_one_by_one_is_drawn_below_the_rest_and_no_interval(opened: Open) -> None:
    page = opened("excerpt")
    said = re.compile(r"Of 20,000 intervals, [\d,]+ are on this page one by one. The other 1[\d,]+, none")
    expect(page.locator("#startup .side .note").first).to_contain_text(said)
    assert page.evaluate("document.getElementById('intervals-data').textContent.length") < 100_000
    waterfall(page).locator(".lane > button").first.click()
    blocks = waterfall(page).locator("rect.family-other")
    assert blocks.count() > 0
    heights = {
        rect["y"] for rect in map(Locator.bounding_box, waterfall(page).locator("rect.stage").all()) if rect
    }
    assert {rect["y"] for rect in map(Locator.bounding_box, blocks.all()) if rect} == {max(heights)}
    before = page.url
    for _ in range(4):
        page.get_by_role("button", name="Zoom into the waterfall").click()
    wait_until_drawn(page)
    block = waterfall(page).locator("rect.family-other[data-number='1']").first
    block.hover(force=True)
    expect(page.locator(".tip")).to_contain_text(
        re.compile(r"^[\d,]+ intervals?, none longer than \d+\.\d+ s")
    )
    block.click(force=True)
    assert page.url == before
    page.get_by_label("Find an interval").fill("none longer")
    expect(page.locator(".matches")).to_have_text("0 found")
