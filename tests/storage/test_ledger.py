"""A ledger's records by table, and what it shows of itself in a notebook."""

import os
import threading
from pathlib import Path

import pytest

from ledger import Compilation, Ledger, NotALedger, StartupPiece, UnknownSession
from ledger.events.models import MilestoneReached
from ledger.testing import MemoryLedger, SessionBuilder
from tests.support.recordings import RECORDINGS, recorded, write_ledger


def ready_at(session: str, at_ns: int, label: str | None = None) -> SessionBuilder:
    builder = SessionBuilder(session)
    builder.begin(label=label, wall_ns=1)
    builder.stop(5, builder.start(2, "dynamo", role="encoder"))
    builder.events.append(
        MilestoneReached(
            session=session, process="process", seq=len(builder.events), at_ns=at_ns, name="server_ready"
        )
    )
    return builder


@pytest.mark.parametrize("name", RECORDINGS)
def test_records_are_those_of_the_timeline(name: str) -> None:
    ledger = recorded(name)
    for session in [None, *ledger.sessions()[:3]]:
        timeline = ledger.timeline(session)
        assert ledger.breakdown(session) == timeline.startup_breakdown
        assert ledger.compilations(session) == timeline.compilations


def test_records_are_of_the_types_that_they_say() -> None:
    (first, *_), (compiled, *_) = recorded("vllm").breakdown(), recorded("compilations").compilations()
    assert type(first) is StartupPiece
    assert type(compiled) is Compilation
    assert type(compiled.has_code) is bool


def test_a_session_is_chosen_as_by_timeline() -> None:
    builders = [ready_at("a1", 10, "nightly"), ready_at("b2", 20, "nightly"), ready_at("c3", 30)]
    ledger = MemoryLedger(event for builder in builders for event in builder.events)
    for name, session in {None: "c3", "nightly": "b2", "a1": "a1", "a": "a1"}.items():
        assert {piece.session for piece in ledger.breakdown(name)} == {session}
    for records in (ledger.breakdown, ledger.compilations):
        with pytest.raises(UnknownSession):
            records("missing")


def test_a_ledger_shows_when_each_session_was_ready() -> None:
    running = SessionBuilder("never")
    running.begin(label="<b>", wall_ns=2)
    ledger = MemoryLedger([*ready_at("once", 3_000_000_000).events, *running.events])
    html = ledger._repr_html_()
    never, once = html.split("<tr>")[2:]
    assert never.startswith("<td>never</td><td>&lt;b&gt;</td><td>running</td>")
    assert never.count("<td></td>") == 1
    assert '<td style="text-align: right">3.000</td>' in once


def test_who_comes_while_a_ledger_is_being_made_waits_until_it_is_there(tmp_path: Path) -> None:
    made, path = tmp_path / "made.db", tmp_path / "startup.db"
    write_ledger("demo", made)
    path.touch()
    maker = threading.Timer(0.2, os.replace, (made, path))
    maker.start()
    with Ledger.open(path) as ledger:
        assert ledger.sessions()
    maker.join()


def test_an_empty_file_that_stays_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.touch()
    with pytest.raises(NotALedger, match="an empty file, not a ledger"):
        Ledger.open(path)
