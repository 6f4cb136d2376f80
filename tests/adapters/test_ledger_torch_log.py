"""What torch logs and prints of its compiles: steps as intervals, tables and records as claims.

The files of 2.13 are what torch 2.13 wrote, without the graphs and with empty configurations; those of 2.1
and the table without tabulate are as people posted them.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import GapNoted, Ledger, ProcessJoined, SessionEnded, SessionStarted, UnrecognisedFile, reduce
from ledger.cli import app
from ledger.interchange.importers import importer_of
from ledger_log_lines.stamps import Calendar
from ledger_torch_log.importer import importer
from ledger_torch_log.metrics import MetricsReader
from ledger_torch_log.records import record_in
from ledger_torch_log.tables import is_returned, returned_in, row_in
from tests.support.growth import assert_linear
from tests.support.paths import DATA
from tests.support.reading_logs import Imported, S
from tests.support.reading_logs import read as read_with
from tests.support.wrapping import wrap

FILES = DATA / "torch_log"
STEPS, OLD = FILES / "steps-2.13.log", FILES / "steps-2.1.log"
CALLS, RETURNED = FILES / "calls-2.13.txt", FILES / "returned-2.13.txt"
METRICS, PPRINT = FILES / "metrics-2.13.txt", FILES / "metrics-pprint-2.13.txt"
UNTABULATED = """\
I1019 16:40:46.708000 50277 site-packages/torch/_dynamo/eval_frame.py:520] TorchDynamo attempted to trace [
I1019 16:40:46.711000 50277 site-packages/torch/_dynamo/utils.py:811] TorchDynamo compilation metrics:
I1019 16:40:46.711000 50277 site-packages/torch/_dynamo/utils.py:811] Function, Runtimes (s)
I1019 16:40:46.711000 50277 site-packages/torch/_dynamo/utils.py:811] _compile.compile_inner, 12.5000
I1019 16:40:46.758000 50277 site-packages/torch/_subclasses/fake_tensor.py:3171] FakeTensor cache stats:
"""
FX = "I1128 22:59:15.154000 7 torch/_inductor/compile_fx.py:768] FX codegen and compilation took 7.934s\n"


def read(path: Path) -> Imported:
    return read_with(path, importer())


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], Imported]:
    """Return a function that imports a text."""

    def imported(content: str) -> Imported:
        path = tmp_path / "torch.log"
        path.write_text(content)
        return read(path)

    return imported


def stages(imported: Imported) -> list[tuple[str, str | None, float | None]]:
    """Each interval with its length in seconds, in the order of their starts."""
    return [
        (
            one.stage,
            one.component,
            None if one.stop_ns is None else round((one.stop_ns - one.start_ns) / S, 3),
        )
        for one in sorted(imported.intervals, key=lambda one: (one.start_ns, -(one.stop_ns or one.start_ns)))
    ]


def seconds_of(imported: Imported, stage: str) -> list[float]:
    return [one.claimed_ns / S for one in imported.claims if one.stage == stage]


class TestSteps:
    def test_each_pair_of_lines_is_an_interval_to_the_microsecond(self) -> None:
        # By hand: 22:59:15.443 to 22:59:54.628, and so on.
        assert stages(read(STEPS)) == [
            ("dynamo", "f", 0.270),
            ("backend_compile", "inductor", 39.185),
            ("graph_compile", "FORWARDS graph 0", 36.853),
            ("graph_compile", "BACKWARDS graph 0", 1.870),
            ("dynamo", "g", 0.032),
            ("dynamo", "g", 0.020),
            ("backend_compile", "inductor", 2.114),
            ("graph_compile", "FORWARDS graph 1", 2.030),
            ("dynamo", "torch_dynamo_resume_in_g_at_5", 0.018),
            ("backend_compile", "inductor", 2.060),
            ("graph_compile", "FORWARDS graph 2", 1.980),
            ("dynamo", "f", 0.157),
            ("backend_compile", "inductor", 5.652),
            ("graph_compile", "FORWARDS graph 3", 2.753),
            ("graph_compile", "BACKWARDS graph 3", 2.457),
        ]

    def test_how_a_trace_ended_without_a_line_is_said(self) -> None:
        imported = read(STEPS)
        of_g = [one for one in imported.intervals if one.component == "g"]
        assert [(one.data or {}).get("ended_by") for one in of_g] == [
            "traced again",
            "the backend was called",
        ]

    def test_the_table_at_exit_is_held_against_the_steps(self) -> None:
        [events] = read(STEPS).sessions
        [called] = [
            one for one in reduce(events).reconciliation if one.stage == "OutputGraph.call_user_compiler"
        ]
        # 39.185 + 2.114 + 2.060 + 5.652 s between stamps of milliseconds; torch says 49.0147.
        assert (called.claimed_ns, called.measured_ns) == (49_014_700_000, 49_011_000_000)
        assert called.main_cause == "rounding"

    def test_lines_of_2_1_have_no_compile_ids(self) -> None:
        imported = read(OLD)
        assert stages(imported) == [
            ("dynamo", "forward", 0.007),
            ("backend_compile", "debug_wrapper", 0.962),
            ("graph_compile", "FORWARDS graph 0", 0.068),
            ("dynamo", "pos_encoding", 0.004),
            ("dynamo", "<graph break in pos_encoding>", 0.007),
            ("backend_compile", "debug_wrapper", None),
            ("graph_compile", "FORWARDS graph 1", 0.074),
        ]
        # The last step 2 has no end: nothing says how the compile went.
        assert not any(isinstance(one, SessionEnded) for one in imported.events)

    def test_processes_are_told_apart_and_ranks_named(self, text: Callable[[str], Imported]) -> None:
        lines = STEPS.read_text().splitlines()
        two = [f"[rank{n}]:{line.replace(' 13220 ', f' {100 + n} ')}" for line in lines for n in (0, 1)]
        imported = text("".join(f"{line}\n" for line in two))
        joined = {(e.name, e.rank, e.pid) for e in imported.events if isinstance(e, ProcessJoined)}
        assert joined == {("rank 0", 0, 100), ("rank 1", 1, 101)}
        once = stages(read(STEPS))
        assert sorted(stages(imported), key=str) == sorted([*once, *once], key=str)

    def test_a_duration_that_a_line_states_is_a_claim_or_reported(
        self, text: Callable[[str], Imported]
    ) -> None:
        imported = text(FX + FX.replace("FX codegen and compilation", "Reticulating splines"))
        assert stages(imported) == [("fx_codegen_and_compile", None, 7.934)]
        assert seconds_of(imported, "fx_codegen_and_compile") == [7.934]
        assert [(one.line, one.reason) for one in imported.unread] == [
            (2, "states a duration in an unknown wording")
        ]

    def test_a_stamp_that_is_no_time_is_reported(self, text: Callable[[str], Imported]) -> None:
        imported = text(FX + FX.replace("I1128", "I1399"))
        assert [one.reason for one in imported.unread] == ["the stamp 13-99 22:59:15 is not a valid time"]

    @pytest.mark.parametrize(
        "form", ["docker-json", "docker-timestamps", "kubectl-prefix", "compose", "gzip"]
    )
    def test_it_may_be_in_a_container(self, form: str, tmp_path: Path) -> None:
        (tmp_path / "wrapped").write_bytes(wrap(STEPS.read_text(), form))
        assert app_import(tmp_path / "wrapped", tmp_path / "a.db") == app_import(STEPS, tmp_path / "b.db")


def app_import(path: Path, ledger: Path) -> list[dict[str, object]]:
    """Import a file by the command; what became of it."""
    from typer.testing import CliRunner

    shown = CliRunner().invoke(app, ["import", str(path), "-o", str(ledger)])
    assert shown.exit_code == 0, shown.output
    with Ledger.open(ledger) as opened:
        return opened.sql(
            "SELECT process, stage, component, start_ns, stop_ns FROM intervals UNION ALL "
            "SELECT process, stage, component, claimed_ns, interval FROM claims ORDER BY 1, 2, 3, 4, 5"
        )


class TestTables:
    def test_each_call_is_a_claim_and_no_interval(self) -> None:
        imported = read(CALLS)
        assert seconds_of(imported, "_compile.compile_inner") == [39.5909, 2.2362, 2.1597, 5.9439]
        assert seconds_of(imported, "backward._backward_impl") == [1.8958]
        # Zeros are left out: they are what is too short to be printed.
        assert seconds_of(imported, "pass.joint_graph_passes.remove_noop_ops") == [0.0002, 0.0001, 0.0005]
        assert imported.intervals == []
        [events] = imported.sessions
        assert {one.main_cause for one in reduce(events).reconciliation} == {"unmatched"}
        assert any("no time stamps" in (one.detail or "") for one in events if isinstance(one, GapNoted))

    def test_what_it_returns_for_csv_says_the_same_with_more_digits(self) -> None:
        printed, returned = read(CALLS), read(RETURNED)
        for stage in ("_compile.compile_inner", "compile_fx_inner", "compile_file"):
            assert [round(s, 4) for s in seconds_of(returned, stage)] == seconds_of(printed, stage)
        assert {one.resolution_ns for one in returned.claims} == {1_000}

    def test_without_tabulate_it_is_separated_by_commas(self, text: Callable[[str], Imported]) -> None:
        imported = text(UNTABULATED)
        assert seconds_of(imported, "_compile.compile_inner") == [12.5]
        assert imported.unread == []

    @pytest.mark.parametrize("row", ["compile_fx_inner          0.00004", "a  1e-05, 2.5", "f<locals>.g  3"])
    def test_a_row_has_a_name_and_numbers(self, row: str) -> None:
        found = row_in(row)
        assert found is not None
        assert found.seconds[-1] == float(row.split()[-1])

    @pytest.mark.parametrize(
        "row", ["", "Function  Runtimes (s)", "a 1.0", "a  b", "a  1.0 2.0", "-----  ----"]
    )
    def test_anything_else_is_no_row(self, row: str) -> None:
        assert row_in(row) is None


class TestMetrics:
    def test_a_list_of_records_is_a_session_of_compiles(self) -> None:
        imported = read(METRICS)
        assert stages(imported) == [
            ("entire_frame_compile", None, 30.979), ("entire_backward_compile", None, 3.024),
        ]  # fmt: skip
        # start_time_us=1795906891112963, by the wall clock.
        [started] = [one for one in imported.events if isinstance(one, SessionStarted)]
        assert started.wall_ns == 1_795_906_891_112_963_000
        assert seconds_of(imported, "code_gen")[0] == 28.76707
        [events] = imported.sessions
        whole = [one for one in reduce(events).reconciliation if one.measured_ns is not None]
        assert {one.main_cause for one in whole} == {"rounding"}

    def test_pprint_spreads_one_over_many_lines(self) -> None:
        printed, spread = read(METRICS), read(PPRINT)
        forward = [one for one in printed.claims if (one.data or {}).get("is_forward") is True]
        assert sorted((one.stage, one.claimed_ns) for one in spread.claims) == sorted(
            (one.stage, one.claimed_ns) for one in forward
        )

    def test_the_command_reads_it_although_its_lines_are_strings(self, tmp_path: Path) -> None:
        # With its configuration, most of its lines are strings of Python's.
        long = PPRINT.read_text().replace(
            "dynamo_config='{}'", "dynamo_config='{'\n" + " '\"a\": true, '\n" * 900 + "'}'"
        )
        path = tmp_path / "metrics.txt"
        path.write_text(long)
        assert len(app_import(path, tmp_path / "a.db")) == len(app_import(PPRINT, tmp_path / "b.db")) > 1

    def test_one_that_is_printed_twice_counts_once(self, text: Callable[[str], Imported]) -> None:
        once = METRICS.read_text()
        assert len(text(once + once).claims) == len(read(METRICS).claims)

    def test_before_2_6_the_start_is_in_seconds(self, text: Callable[[str], Imported]) -> None:
        imported = text(
            "[CompilationMetrics(frame_key='1', co_name='f', start_time=1716000000.5, "
            "entire_frame_compile_time_s=2.25, backend_compile_time_s=2.0, fail_type='Unsupported')]\n"
        )
        [compiled] = imported.intervals
        assert (compiled.start_ns, compiled.stop_ns) == (1_716_000_000_500_000_000, 1_716_000_002_750_000_000)
        assert (compiled.outcome, compiled.error) == ("failed", "Unsupported")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("CompilationMetrics(compile_id='0/0', a=(1,\n", "a CompilationMetrics record that is cut off"),
            ("CompilationMetrics(compile_id='0/0', =3)\n", "a CompilationMetrics record that cannot be read"),
            ("CompilationMetrics(1, 2)\n", "a CompilationMetrics record that cannot be read"),
        ],
    )
    def test_one_that_cannot_be_read_is_reported(
        self, content: str, reason: str, text: Callable[[str], Imported]
    ) -> None:
        assert [one.reason for one in text(METRICS.read_text() + content).unread] == [reason]


class TestRecognising:
    def test_an_engines_log_with_lines_of_torchs_is_the_engines(self, tmp_path: Path) -> None:
        path = tmp_path / "vllm.log"
        path.write_text(
            "INFO 11-22 09:18:02 [monitor.py:53] torch.compile took 16.77 s in total\n" + STEPS.read_text()
        )
        assert importer_of(path).name == "a log of vLLM's"

    def test_steps_without_stamps_are_refused_with_what_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "copied.log"
        path.write_text(re.sub(r"(?m)^I\d{4} [\d:.]+ \d+ ", "", "".join(
            line for line in STEPS.read_text().splitlines(keepends=True) if "Step" in line
        )))  # fmt: skip
        with pytest.raises(UnrecognisedFile, match=r"no time stamps: \d+ lines are steps .* TORCH_LOGS"):
            importer_of(path)


LINES = STEPS.read_text().splitlines()


class TestAnyText:
    @given(st.integers(0, 120), st.integers(0, 120))
    @settings(max_examples=60, deadline=None)
    def test_what_is_cut_off_is_not_made_up(self, first: int, last: int) -> None:
        found = self._read(LINES[first : len(LINES) - last])
        whole = {(one.stage, one.component, one.start_ns, one.stop_ns) for one in read(STEPS).intervals}
        ended = [one for one in found.intervals if one.stop_ns is not None]
        assert {(one.stage, one.component, one.start_ns, one.stop_ns) for one in ended} <= whole

    @given(
        st.lists(st.sampled_from([*LINES, *OLD.read_text().splitlines(), *METRICS.read_text().splitlines()]))
    )
    @settings(max_examples=60, deadline=None)
    def test_lines_in_any_order_make_a_valid_session(self, lines: list[str]) -> None:
        for events in self._read(lines).sessions:
            reduce(events)

    def _read(self, lines: Sequence[str]) -> Imported:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "x.log"
            path.write_text("".join(f"{line}\n" for line in lines))
            return read(path)


PIECES = [
    "[", "(['a', ", "'", "\"", "CompilationMetrics(", "a='", "0.1, ", "a  ", "-", "--  ", "[0/0] ", "I1128 ",
    "I1128 22:59:15.154000 7 a:1] ", "[2023-10-04 16:31:40,313] torch.a: [INFO] ", "Step 1: ",
    "took 1", ") ", "\\",
]  # fmt: skip


class TestGrowth:
    def test_a_long_line_is_understood_in_linear_time(self) -> None:
        def understanding(size: int) -> partial[None]:
            texts = [(piece * (size // len(piece) + 1))[:size] for piece in PIECES]
            heads = ("", "CompilationMetrics(a=", "(['a'], ['1", "a  0.1", LINES[0])
            return partial(_understand, [f"{head}{text}" for text in texts for head in heads])

        assert_linear(understanding, 1 << 16)

    def test_a_file_of_hostile_lines_is_read_in_linear_time(self, tmp_path: Path) -> None:
        def reading(size: int) -> partial[None]:
            path = tmp_path / f"{size}.log"
            path.write_text("".join(f"{(piece * size)[: size // 20]}\n" for piece in PIECES))
            return partial(_read_all, path)

        assert_linear(reading, 1 << 20)


def _understand(texts: Sequence[str]) -> None:
    for text in texts:
        record_in(text, Calendar())
        row_in(text)
        list(returned_in(text)) if is_returned(text) else None
        list(MetricsReader().take(text, 1))


def _read_all(path: Path) -> None:
    for _ in importer().read(path, lambda read: None):
        pass
