"""`recording_to`: another recorder hears what torch compiles for a while, and nothing of that stays."""

import gc
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import ledger_torch
from ledger import Ledger, Recorder
from ledger_torch import hooks, recording, recording_to, spans
from tests.adapters.test_ledger_torch import EVENTS, FUNNEL, METRICS, Metrics, Recorded, make_funnel, python


@pytest.fixture
def funnel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for torch's funnel, imported already."""
    module = make_funnel()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recording, "UTILS", module.__name__)
    monkeypatch.setattr(recording, "_has_import_hook", False)
    return module


def to(recorded: Recorded) -> Any:
    return recording_to(recorded)  # type: ignore[arg-type]


def compile_in(funnel: Any, stage: str) -> None:
    with funnel.dynamo_timed(stage):
        pass


def stages(recorded: Recorded) -> list[str]:
    return [start["stage"] for start in recorded.starts]


def stubs(funnel: Any) -> tuple[object, object]:
    return getattr(funnel, EVENTS), getattr(funnel, METRICS)


def test_what_is_compiled_in_the_body_is_recorded_and_nothing_else(funnel: Any) -> None:
    recorded, originals = Recorded(), stubs(funnel)
    compile_in(funnel, "before")
    with to(recorded):
        compile_in(funnel, "inside")
        funnel.record_compilation_metrics(Metrics())
    compile_in(funnel, "after")
    assert stages(recorded) == ["inside"]
    assert len(recorded.stops) == 1
    assert recorded.claims
    assert recorded.hooks == [f"{funnel.__name__}.{EVENTS}", f"{funnel.__name__}.{METRICS}"]
    assert stubs(funnel) == originals
    assert [event["name"] for event in funnel.heard if isinstance(event, dict) and event["ph"] == "B"] == [
        "before", "inside", "after",
    ]  # fmt: skip


def test_the_stubs_are_put_back_where_the_body_fails(funnel: Any) -> None:
    recorded, originals = Recorded(), stubs(funnel)
    with pytest.raises(KeyError), to(recorded), funnel.dynamo_timed("dynamo"):
        raise KeyError
    assert stubs(funnel) == originals
    assert recorded.stops[0]["error"] == "KeyError"


def test_the_recorder_of_the_process_goes_on(funnel: Any) -> None:
    own, other = Recorded(), Recorded()
    own.on_close = lambda callback: None  # type: ignore[attr-defined]
    hooks.install(funnel, own)  # type: ignore[arg-type]
    installed = stubs(funnel)
    compile_in(funnel, "before")
    with to(other):
        compile_in(funnel, "inside")
    compile_in(funnel, "after")
    assert stages(own) == ["before", "inside", "after"]
    assert stages(other) == ["inside"]
    assert stubs(funnel) == installed


def test_what_is_installed_in_the_body_stays(funnel: Any) -> None:
    own, other = Recorded(), Recorded()
    own.on_close = lambda callback: None  # type: ignore[attr-defined]
    with to(other):
        hooks.install(funnel, own)  # type: ignore[arg-type]
        compile_in(funnel, "inside")
    compile_in(funnel, "after")
    assert stages(own) == ["inside", "after"]
    assert stages(other) == ["inside"]


def test_of_two_at_once_each_hears_everything_and_they_may_end_in_any_order(funnel: Any) -> None:
    first, second, originals = Recorded(), Recorded(), stubs(funnel)
    to_first, to_second = to(first), to(second)
    to_first.__enter__()
    compile_in(funnel, "first alone")
    to_second.__enter__()
    compile_in(funnel, "both")
    to_first.__exit__(None, None, None)
    compile_in(funnel, "second alone")
    to_second.__exit__(None, None, None)
    compile_in(funnel, "none")
    assert stages(first) == ["first alone", "both"]
    assert stages(second) == ["both", "second alone"]
    assert stubs(funnel) == originals


def test_threads_that_come_and_go_leave_the_stubs_as_they_were(funnel: Any) -> None:
    originals, all_recorded = stubs(funnel), [Recorded() for _ in range(8)]

    def record(recorded: Recorded) -> None:
        for _ in range(50):
            with to(recorded):
                compile_in(funnel, threading.current_thread().name)

    threads = [
        threading.Thread(target=record, args=[it], name=f"t{at}") for at, it in enumerate(all_recorded)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stubs(funnel) == originals
    for at, recorded in enumerate(all_recorded):
        assert stages(recorded).count(f"t{at}") == 50


def test_what_another_thread_compiles_is_recorded(funnel: Any) -> None:
    recorded = Recorded()
    with to(recorded), funnel.dynamo_timed("here"):
        thread = threading.Thread(target=compile_in, args=[funnel, "there"])
        thread.start()
        thread.join()
    assert stages(recorded) == ["here", "there"]
    assert [start["parent"] for start in recorded.starts] == [None, None]


def test_of_a_compile_around_the_body_the_end_is_a_gap(funnel: Any) -> None:
    recorded = Recorded()
    with funnel.dynamo_timed("around"):
        context = to(recorded)
        context.__enter__()
        compile_in(funnel, "inside")
    context.__exit__(None, None, None)
    assert stages(recorded) == ["inside"]
    assert recorded.starts[0]["parent"] is None
    assert recorded.gaps == [("unmatched_end", "around")]


def test_torch_may_be_imported_in_the_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_funnel.py").write_text(FUNNEL)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(recording, "UTILS", "late_funnel")
    monkeypatch.setattr(recording, "_has_import_hook", False)
    too_early, recorded = Recorded(), Recorded()
    with to(too_early):
        pass
    with to(recorded):
        import late_funnel  # type: ignore[import-not-found]

        compile_in(late_funnel, "dynamo")
    compile_in(late_funnel, "after")
    assert stages(recorded) == ["dynamo"]
    assert (stages(too_early), too_early.hooks) == ([], [])
    assert late_funnel.record_chromium_event_internal.__module__ == "late_funnel"
    del sys.modules["late_funnel"]


def test_a_recorder_that_is_off_changes_nothing(funnel: Any) -> None:
    originals = stubs(funnel)
    with recording_to(Recorder(None)):
        assert stubs(funnel) == originals


def test_nothing_is_kept_of_what_is_over(funnel: Any) -> None:
    gc.collect()
    before = len(spans._all_spans)  # pyright: ignore[reportPrivateUsage]
    for _ in range(3):
        with to(Recorded()):
            compile_in(funnel, "dynamo")
    gc.collect()
    assert len(spans._all_spans) == before  # pyright: ignore[reportPrivateUsage]


def test_the_package_has_it_without_importing_it_first() -> None:
    assert ledger_torch.recording_to is recording_to
    with pytest.raises(AttributeError, match="nothing"):
        ledger_torch.nothing  # type: ignore[attr-defined]  # noqa: B018
    python(
        "-c", "import sys, ledger_torch; assert 'ledger' not in sys.modules; ledger_torch.recording_to"
    )  # fmt: skip


def test_a_real_compile_is_recorded_in_the_body_alone(tmp_path: Path) -> None:
    """torch is imported in between; a child that is forked in the body records as a process of its own."""
    path = tmp_path / "x.db"
    python(
        "-c",
        "import os, sys\n"
        "from ledger import Recorder\n"
        "from ledger_torch import recording_to\n"
        "recorder = Recorder.open(sys.argv[1])\n"
        "with recording_to(recorder):\n"
        "    import torch\n"
        "    def compiled(number):\n"
        "        return torch.compile(lambda x: x + number, backend='eager')(torch.zeros(2))\n"
        "    with recorder.role('encoder'):\n"
        "        compiled(1)\n"
        "    if (child := os.fork()) == 0:\n"
        "        compiled(2)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "compiled(3)\n"
        "assert not hasattr(torch._dynamo.utils.record_chromium_event_internal, 'listener')\n"
        "recorder.close()\n",
        path,
    )
    with Ledger.open(path) as ledger:
        rows = ledger.sql(
            "SELECT role, process, outcome FROM intervals WHERE stage = 'dynamo' ORDER BY start_ns"
        )
        gaps = ledger.sql("SELECT * FROM gaps")
    assert [(row["role"], row["outcome"]) for row in rows] == [
        ("encoder", "completed"),
        ("model", "completed"),
    ]
    assert rows[0]["process"] != rows[1]["process"]
    assert gaps == []
