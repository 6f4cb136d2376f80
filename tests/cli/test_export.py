"""The commands `export` and `import` together: a session goes out as text and comes back as it was."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger import Ledger, Recorder, parse_event, read_events
from ledger.cli import main
from ledger.events.jsonl import lines_of
from ledger.events.models import to_line
from ledger.events.rows import EventRow
from ledger.interchange.importers import LinesImporter, import_into, importer_of
from ledger.recording.journal import journal_folder
from ledger.storage.record_rows import TABLES
from ledger.storage.store import Store
from tests.support.collecting import joined, left, milestones, rows

Run = Callable[..., "Shown"]
PROGRAM = """
import multiprocessing, sys, time
from ledger import Recorder

def work(number):
    recorder = Recorder.from_environment()
    with recorder.stage("torch_compile", role="encoder", source="monitor", component="Block"):
        data = {"range": f"(1, {number})", "path": "/srv/models/x"}
        with recorder.stage("dynamo", source="torch", data=data):
            time.sleep(0.01)
    recorder.claim(0.011, source="monitor", role="encoder", text="torch.compile took 0.01 s in total")
    recorder.milestone("engine_ready")
    recorder.gap("missing_hook", detail="nothing at /srv/models/x")

if __name__ == "__main__":
    work(1)
    child = multiprocessing.get_context("spawn").Process(target=work, args=(2,), name="EngineCore")
    child.start()
    child.join()
    recorder = Recorder.from_environment()
    stage = recorder.stage("model_load", source="user")
    stage.__enter__()
    data = {"x": [1e22, None, {"y": "\\""}]}
    recorder.claim(1.0, source="user", text="caf\\u00e9 \\u2028 \\N{SNOWMAN}", data=data)
    sys.exit(3)
"""
BY_KEY = f"SELECT {', '.join(EventRow._fields)} FROM events ORDER BY session, process, seq"


class Shown(NamedTuple):
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Return what runs a command in this process, where the ledger is to be."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Shown:
        monkeypatch.setattr(sys, "argv", ["compile-ledger", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsysbinary.readouterr()
        return Shown(int(str(ended.value.code)), out.decode(), err.decode())

    return run


def record(folder: Path, *arguments: str | Path) -> None:
    command = [sys.executable, "-m", "ledger.cli", "record", "--quiet", "-o", "a.db", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 3, done


@pytest.fixture
def ledger(path: Path) -> Path:
    """A ledger of two sessions, `first` and `second`."""
    for label in ("first", "second"):
        with Recorder.open(path, label=label) as recorder:
            recorder.milestone("engine_ready")
    Ledger.open(path).close()
    return path


@pytest.fixture
def exported(run: Run, ledger: Path) -> Path:
    assert run("export", ledger, "-o", "session.jsonl").returncode == 0
    return ledger.with_name("session.jsonl")


def one_line(shown: Shown) -> str:
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    return shown.stderr


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the events of a ledger and every table that is derived from them."""
    found = {"events": rows(path, BY_KEY)}
    for table, columns in TABLES.items():
        found[table] = sorted(rows(path, f"SELECT {', '.join(columns)} FROM {table}"), key=str)
    return found


def test_what_a_real_program_recorded_goes_out_and_comes_back_as_it_was(run: Run, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    record(tmp_path, "--label", "nightly", "--", sys.executable, "program.py")
    out = run("export", "a.db", "-o", "a.jsonl")
    assert (out.returncode, out.stdout, out.stderr) == (
        0,
        "",
        "a.jsonl: open it with compile-ledger import a.jsonl\n",
    )
    back = run("import", "a.jsonl", "-o", "b.db")
    assert (back.returncode, back.stderr) == (0, ""), back
    assert "a.jsonl: a session as text: " in back.stdout
    assert ", 0 already in the ledger, 0 unreadable lines" in back.stdout
    verified = run("verify", "b.db")
    assert (verified.returncode, verified.stdout) == (0, "b.db: no fault found\n")
    there, here = everything(tmp_path / "a.db"), everything(tmp_path / "b.db")
    assert there == here
    assert {name for name, rows in there.items() if not rows} <= {"anomalies", "graph_breaks"}
    assert len(there["processes"]) == 3
    run("export", "b.db", "-o", "b.jsonl")
    assert (tmp_path / "b.jsonl").read_bytes() == (tmp_path / "a.jsonl").read_bytes()
    assert run("report", "a.db").stdout == run("report", "b.db").stdout


def test_redacted_nothing_of_the_machine_is_left_and_the_report_has_the_same_numbers(
    run: Run, tmp_path: Path
) -> None:
    program = tmp_path / "my clandestine program.py"
    program.write_text(PROGRAM)
    record(tmp_path, "--", sys.executable, program)
    out = run("export", "a.db", "--redact", "-o", "a.jsonl")
    assert out.stderr.count("\n") == 2
    assert "review the file before you share it" in out.stderr
    text = (tmp_path / "a.jsonl").read_text()
    identity = rows(tmp_path / "a.db", "SELECT body FROM events WHERE kind = 'process_joined'")
    joined = parse_event(run("export", "a.db").stdout.splitlines()[1])
    assert joined.kind == "process_joined"
    assert identity
    for known in (str(tmp_path), sys.executable, "clandestine", "/srv", joined.host, joined.boot_id):
        assert known is not None
        assert known not in text
    assert run("import", "a.jsonl", "-o", "b.db").returncode == 0
    query = "SELECT role, activity, total_ns, interval_count FROM role_totals ORDER BY 1, 2, 3"
    assert run("sql", "a.db", query).stdout == run("sql", "b.db", query).stdout


class TestExport:
    def test_the_newest_session_is_written_or_the_one_that_is_named_or_all(
        self, run: Run, ledger: Path
    ) -> None:
        def labels(*arguments: str) -> list[str | None]:
            (ledger.parent / "x.jsonl").write_text(run("export", ledger, *arguments).stdout)
            events = read_events(ledger.parent / "x.jsonl")
            return [event.label for event in events if event.kind == "session_started"]

        assert labels() == ["second"]
        assert labels("--session", "first") == ["first"]
        assert labels("--all") == ["first", "second"]
        assert "give one of them" in one_line(run("export", ledger, "--all", "--session", "first"))
        assert "no session 'nope'" in one_line(run("export", ledger, "--session", "nope"))

    def test_all_sessions_have_one_end_mark_so_that_one_cut_off_is_missed(
        self, run: Run, ledger: Path
    ) -> None:
        assert run("export", ledger, "--all").stdout.count("end_of_export") == 1

    def test_who_exports_is_not_named(self, run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOGNAME", "alice")
        with Recorder.open(path, label="alice's own") as recorder:
            recorder.milestone("engine_ready")
        shown = run("export", path, "--redact").stdout
        assert "alice" not in shown
        assert "<user-1>'s own" in shown

    def test_the_same_ledger_is_the_same_file(self, run: Run, ledger: Path) -> None:
        assert run("export", ledger, "--redact").stdout == run("export", ledger, "--redact").stdout

    def test_a_file_is_written_whole_or_not_at_all(self, run: Run, ledger: Path) -> None:
        connection = Store.open(ledger).connection
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute("UPDATE events SET body = '{\"x\": 1}' WHERE seq = 3")
        connection.close()
        before = sorted(os.listdir(ledger.parent))
        assert "Extra inputs" in one_line(run("export", ledger, "-o", "session.jsonl"))
        assert sorted(os.listdir(ledger.parent)) == before

    def test_what_is_there_is_written_over_only_with_force(self, run: Run, ledger: Path) -> None:
        there = ledger.with_name("session.jsonl")
        there.write_text("mine")
        assert "already exists; choose another name or use --force" in one_line(
            run("export", ledger, "-o", "session.jsonl")
        )
        assert there.read_text() == "mine"
        assert run("export", ledger, "-o", "session.jsonl", "--force").returncode == 0
        assert len(list(read_events(there))) == 5

    def test_a_link_s_target_is_what_is_written(self, run: Run, ledger: Path) -> None:
        link, target = ledger.with_name("link.jsonl"), ledger.with_name("target.jsonl")
        link.symlink_to(target)
        assert run("export", ledger, "-o", "link.jsonl").returncode == 0
        assert link.is_symlink()
        assert len(list(read_events(target))) == 5

    def test_where_it_can_not_be_written_is_said_in_one_line(self, run: Run, ledger: Path) -> None:
        assert "no such folder" in one_line(run("export", ledger, "-o", "nowhere/session.jsonl"))
        assert "a folder" in one_line(run("export", ledger, "-o", "."))
        assert "the ledger itself" in one_line(run("export", ledger, "-o", ledger, "--force"))
        assert run("export", ledger, "-o", "/dev/null").returncode == 0
        assert Path("/dev/null").is_char_device()

    def test_what_is_no_form_is_told_with_those_there_are(self, run: Run, ledger: Path) -> None:
        shown = run("export", ledger, "--format", "nope")
        assert shown.returncode == 2
        assert "jsonl" in shown.stderr


class TestImport:
    def test_the_same_file_twice_changes_nothing(self, run: Run, exported: Path) -> None:
        first = run("import", exported, "-o", "new.db")
        before = exported.with_name("new.db").read_bytes()
        second = run("import", exported, "-o", "new.db")
        assert "5 new events, 0 already in the ledger" in first.stdout
        assert "0 new events, 5 already in the ledger" in second.stdout
        assert exported.with_name("new.db").read_bytes() == before

    def test_what_the_ledger_has_already_comes_once(self, run: Run, ledger: Path, exported: Path) -> None:
        before = everything(ledger)
        assert "0 new events, 5 already in the ledger" in run("import", exported, "-o", ledger).stdout
        assert everything(ledger) == before

    @pytest.mark.parametrize("is_there", [True, False])
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda lines: lines[:-1], "no end mark"),
            (lambda lines: [*lines[:-1], lines[-1][:40]], "cut off in the middle"),
            (lambda lines: [lines[1], lines[0], *lines[2:]], "in another order"),
            (lambda lines: [lines[0].replace(b"second", b"edited"), *lines[1:]], "edited"),
            (lambda lines: [*lines[:2], b"garbled\n", *lines[3:]], "line 3: no event"),
            (lambda _: [b'{"hello": "world"}\n'], "JSON, but no log: nothing in it is a line of a log "),
            (lambda _: [b""], "an empty file"),
        ],
        ids=["cut", "cut in a line", "reordered", "edited", "a bad line", "foreign", "empty"],
    )
    def test_a_file_that_is_not_whole_leaves_the_ledger_as_it_was(
        self,
        run: Run,
        ledger: Path,
        exported: Path,
        is_there: bool,
        change: Callable[[list[bytes]], list[bytes]],
        said: str,
    ) -> None:
        target = ledger if is_there else ledger.with_name("new.db")
        before = ledger.read_bytes()
        bad = ledger.with_name("bad.jsonl")
        bad.write_bytes(b"".join(change(exported.read_bytes().splitlines(keepends=True))))
        # The good one before it is not imported either.
        error = one_line(run("import", exported, bad, "-o", target))
        assert "bad.jsonl" in error
        assert said in error
        assert ledger.read_bytes() == before
        assert target.exists() == is_there

    def test_another_event_under_a_key_leaves_the_ledger_as_it_was(
        self, run: Run, ledger: Path, exported: Path
    ) -> None:
        events = list(read_events(exported))
        other = [*events[:3], events[3].model_copy(update={"at_ns": 7}), *events[4:]]
        new = milestones("q", range(5_000))
        exported.write_bytes(b"".join(lines_of([*new, *other])))
        before = ledger.read_bytes()
        error = one_line(run("import", exported, "-o", ledger))
        key = f"({events[3].session}, {events[3].process}, 3)"
        assert f"line 5004: another event has the key {key}" in error
        assert ledger.read_bytes() == before

    def test_two_events_under_one_key_in_a_file_are_told(self, run: Run, exported: Path) -> None:
        [one, other] = (
            milestones("p", [1])[0].model_copy(update={"name": name}) for name in ("one", "other")
        )
        exported.write_bytes(b"".join(lines_of([one, other])))
        assert "line 2: another event has the key (s, p, 1)" in one_line(
            run("import", exported, "-o", "new.db")
        )

    def test_what_changes_between_looking_and_taking_is_not_taken(self, path: Path) -> None:
        file = path.with_name("session.jsonl")
        file.write_bytes(b"".join(lines_of([joined("p"), left("p", 1)])))
        importer = importer_of(file)
        assert isinstance(importer, LinesImporter)
        importer.check(file, lambda _: None)
        file.write_bytes(file.read_bytes().replace(b"completed", b"failed"))
        store = Store.open(path)
        with pytest.raises(Exception, match="edited"):
            import_into(store, file, importer, lambda _: None)
        store.close()
        assert rows(path) == []


class TestUnchecked:
    def test_what_is_there_is_taken_and_what_is_no_event_is_kept_aside(self, run: Run, path: Path) -> None:
        events = [joined("p"), *milestones("p", [1, 2])]
        lines = list(map(to_line, events))
        path.with_name("cut.jsonl").write_bytes(b"".join([lines[0], b"garbled\n", *lines[1:]])[:-9])
        assert "--unchecked" in one_line(run("import", "cut.jsonl", "-o", path))
        shown = run("import", "cut.jsonl", "-o", path, "--unchecked")
        assert (
            "2 new events, 0 already in the ledger, 2 unreadable lines (see rejected_lines)" in shown.stdout
        )
        kept = rows(path, "SELECT file, line, text FROM rejected_lines")
        assert kept == [("cut.jsonl", 2, "garbled"), ("cut.jsonl", 4, lines[2][:-9].decode())]

    def test_an_event_in_whose_place_there_is_another_is_kept_aside(self, run: Run, path: Path) -> None:
        other = milestones("p", [1])[0].model_copy(update={"name": "other"})
        events = [joined("p"), *milestones("p", [1, 2]), other]
        path.with_name("edited.jsonl").write_bytes(b"".join(map(to_line, events)))
        shown = run("import", "edited.jsonl", "-o", path, "--unchecked")
        assert "3 new events, 0 already in the ledger, 1 unreadable lines" in shown.stdout
        kept = rows(path, "SELECT line, reason, text FROM rejected_lines")
        assert kept == [(4, "another event has the key (s, p, 1)", to_line(other).decode().rstrip())]

    def test_a_journal_s_copy_can_be_taken(self, run: Run, tmp_path: Path, path: Path) -> None:
        recorder = Recorder.open(tmp_path / "live.db")
        recorder.milestone("engine_ready")
        [journal] = journal_folder(tmp_path / "live.db").glob("*.jsonl")
        assert "3 new events" in run("import", journal, "-o", path, "--unchecked").stdout
        recorder.close()

    def test_a_whole_file_is_taken_as_ever(self, run: Run, exported: Path) -> None:
        shown = run("import", exported, "-o", "new.db", "--unchecked")
        assert "5 new events, 0 already in the ledger, 0 unreadable lines" in shown.stdout


def test_the_time_on_the_wall_of_an_imported_event_is_its_process_s(path: Path) -> None:
    file = path.with_name("session.jsonl")
    far = milestones("p", [2])[0].model_copy(update={"at_ns": 2**63 - 1})
    file.write_bytes(b"".join(lines_of([joined("p"), *milestones("p", [1]), far])))
    store = Store.open(path)
    import_into(store, file, LinesImporter(), lambda _: None)
    store.close()
    assert rows(path, "SELECT wall_ns FROM events ORDER BY seq") == [(1_000_000,), (1_000_001,), (None,)]
