"""The first screen of four kinds of starts: it fits, it adds up, and it is as it was looked at and kept."""

import re

import pytest

from ledger import Ledger
from ledger.reports.from_ledger import read_first_screen, read_report
from ledger.testing import MemoryLedger
from tests.support import screens
from tests.support.gpu_starts import gpu_ledger
from tests.support.questions import asked
from tests.support.reading_logs import LOGS, read
from tests.support.recordings import recorded

KINDS = ("demo", "vllm", "training", "log")
PLACES = 0.0011
"""Seconds are rounded to the millisecond, each by itself."""


def ledger_of(kind: str) -> Ledger:
    if kind == "demo":
        return recorded("demo")
    if kind == "training":
        return asked("recompiles")
    return gpu_ledger("vl-cold") if kind == "vllm" else imported_log()


def imported_log() -> Ledger:
    return MemoryLedger(read(LOGS / "vllm-0.32.0-cpu-vl-cold.log").events)


def session_of(kind: str, ledger: Ledger) -> str:
    return ledger.sessions()[0 if kind == "demo" else -1]


@pytest.mark.parametrize("name", ["demo", "vllm", "compilations", "starts"])
def test_an_excerpt_of_a_session_gives_the_screen_of_all_of_it(name: str) -> None:
    ledger = recorded(name)
    for session in ledger.sessions():
        whole, excerpt = (screens.printed(read(ledger, session)) for read in (read_report, read_first_screen))
        assert excerpt == whole


@pytest.mark.parametrize("kind", KINDS)
class TestAScreen:
    def test_is_what_is_kept_and_fits(self, kind: str) -> None:
        ledger = ledger_of(kind)
        shown = screens.screen(ledger, session_of(kind, ledger))
        lines = shown.splitlines()
        assert len(lines) < screens.HEIGHT, "the last line is the next prompt's"
        assert max(map(len, lines)) <= screens.WIDTH
        screens.is_kept(f"{kind}.txt", shown)

    def test_has_the_same_text_in_colour(self, kind: str) -> None:
        ledger = ledger_of(kind)
        session = session_of(kind, ledger)
        coloured = screens.coloured_screen(ledger, session)
        assert screens.without_colour(coloured) == screens.screen(ledger, session)
        screens.is_kept(f"{kind}.ansi", coloured)

    def test_adds_up_by_eye(self, kind: str) -> None:
        ledger = ledger_of(kind)
        lines = screens.screen(ledger, session_of(kind, ledger)).split("\n\n")
        [total] = re.findall(r": \w+ after (\d+\.\d{3}) s", lines[0])
        # A guide stands before what is in another stage.
        outermost = [line for line in lines[1].splitlines() if not re.search(r"^ *[│├└] ", line[18:])]
        outermost = [line for line in outermost if not re.match(r"[│├└] ", line)]
        shown = [float(re.findall(r" (\d+\.\d{3}) +\d+\.\d% ?", line)[0]) for line in outermost]
        assert sum(shown) == pytest.approx(float(total), abs=PLACES * len(shown))


def test_of_the_longest_name_the_stage_stays_that_begins_a_role() -> None:
    assert "… ▸ torch_compile [language_model]" in screens.screen(asked("cold"))
    assert "├ import ledger_torch ▸ …" in screens.screen(recorded("demo"), recorded("demo").sessions()[1])


def test_all_findings_are_shown_where_a_line_that_counts_the_others_would_take_their_place() -> None:
    ledger = recorded("demo")
    shown = screens.screen(ledger, ledger.sessions()[0])
    assert shown.count("→") == 3
    assert "more finding" not in shown


def test_findings_of_each_kind_come_before_others_of_one_kind() -> None:
    ledger = gpu_ledger("vl", "vl-cold")
    kinds = [found.finding for found in read_report(ledger, ledger.sessions()[-1]).findings]
    assert kinds == ["unattributed_time", *["cache_empty"] * 4, "graphs_captured_twice"]
    shown = screens.screen(ledger)
    assert "unattributed: " in shown
    assert shown.count("the cache had nothing for it") == 1


def test_where_there_is_room_there_are_several_of_one_kind() -> None:
    ledger = recorded("demo")
    shown = screens.screen(ledger, ledger.sessions()[0])
    assert shown.count("the cache had nothing for it") == 2
    assert "more finding" not in shown
