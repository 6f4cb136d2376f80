"""What torch compiled, by our rows and by what torch says of it: its records, its counters and `explain`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ledger import Ledger
from ledger.cli import app
from tests.adapters.test_ledger_torch import PROGRAMS, python

RECORD = {
    "co_name": "function",
    "co_filename": "file",
    "co_firstlineno": "line",
    "guard_count": "guards",
    "recompile_reason": "reason",
    "fail_reason": "error_text",
    "has_guarded_code": "has_code",
}
"""Fields of torch's records, and the columns that have them."""


class Ran:
    """The program, recorded: what torch said at its end, and our rows."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        path = folder / "x.db"
        printed = python(PROGRAMS / "compilations.py", *arguments, COMPILE_LEDGER=str(path), **environment)
        self.torch: dict[str, Any] = json.loads(printed.splitlines()[-1])
        with Ledger.open(path) as ledger:
            self.rows = ledger.sql("SELECT * FROM compilations ORDER BY start_ns")
            self.breaks = ledger.sql("SELECT * FROM graph_breaks")
            self.gaps = ledger.sql("SELECT * FROM gaps")

    def of(self, function: str) -> list[dict[str, Any]]:
        """The rows of a function."""
        return [row for row in self.rows if row["function"] == function]

    @property
    def before_explain(self) -> list[dict[str, Any]]:
        """The rows of what torch had records of: `explain` comes after them."""
        return self.rows[: len(self.torch["records"])]

    def check_records(self) -> None:
        """There is a row for each of torch's records, and it says the same."""
        assert len(self.rows) >= len(self.torch["records"]) + len(self.torch["explained"])
        for row, record in zip(self.before_explain, self.torch["records"], strict=True):
            about = (record["compile_id"], row)
            assert (row["kind"] == "backward") == (record["is_forward"] is False), about
            for field, column in RECORD.items():
                if record.get(field) is not None:
                    assert row[column] == record[field], about
            again = (record.get("accumulated_cache_size") or 0) > 0 or record.get("recompile_reason")
            if row["kind"] != "backward":
                assert row["kind"] == ("recompile" if again else "first"), about


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of torch's own trace of the same run."""
    return tmp_path_factory.mktemp("trace")


@pytest.fixture(scope="module")
def dynamos(tmp_path_factory: pytest.TempPathFactory, trace: Path) -> Ran:
    return Ran(tmp_path_factory.mktemp("eager"), "eager", TORCH_TRACE=str(trace))


def test_each_record_of_torchs_is_a_row(dynamos: Ran) -> None:
    dynamos.check_records()
    assert dynamos.gaps == []


def test_a_recompile_has_torchs_whole_reason(dynamos: Ran) -> None:
    first, by_value, by_shape, by_dtype = dynamos.of("scaled")
    assert (first["kind"], first["reason"]) == ("first", None)
    for row, word in ((by_value, "number"), (by_shape, "size mismatch"), (by_dtype, "dtype mismatch")):
        assert row["kind"] == "recompile"
        assert word in row["reason"]
        assert (row["compile_id"], row["ordinal"]) == (f"3/{dynamos.of('scaled').index(row)}", 0)


def test_a_dynamic_shape_is_compiled_twice_and_no_more(dynamos: Ran) -> None:
    assert [row["kind"] for row in dynamos.of("flexible")] == ["first", "recompile"]


def test_a_refused_recompile_is_a_row_without_code(dynamos: Ran) -> None:
    *_, refused = dynamos.of("limited")
    assert (refused["kind"], refused["outcome"], refused["has_code"]) == ("recompile", "completed", 0)
    assert "limit" in refused["error_text"]


def test_a_failing_backend_fails_its_row_with_the_whole_text(dynamos: Ran) -> None:
    (row,) = [row for row in dynamos.rows if row["error"] == "BackendCompilerFailed"]
    assert row["outcome"] == "failed"
    assert row["error_text"].endswith("this backend can't " + "and can't " * 300)


def test_graph_breaks_are_those_that_torch_counts(dynamos: Ran) -> None:
    rows = {(row["compile_id"], row["ordinal"]): row for row in dynamos.before_explain}
    went_on: dict[str, int] = {}
    gave_up: dict[str, int] = {}
    for each in dynamos.breaks:
        key = (each["compile_id"], each["ordinal"])
        if key in rows:
            of_kind = went_on if rows[key]["has_code"] or rows[key]["error"] else gave_up
            of_kind[each["reason"]] = of_kind.get(each["reason"], 0) + each["count"]
    # Of a break in a loop torch counts the first reason and both together: the frame has the latter.
    assert set(gave_up) <= set(dynamos.torch["given_up"])
    for reason, count in dynamos.torch["breaks"].items():
        assert went_on[reason] >= count
    assert sum(row["graph_breaks"] or 0 for row in dynamos.rows) == sum(
        row["count"] for row in dynamos.breaks
    )


def test_a_break_is_where_explain_finds_it(dynamos: Ran) -> None:
    ((reason, file, line),) = dynamos.torch["explained"]
    explained = [row for row in dynamos.rows if row not in dynamos.before_explain]
    found = [
        [each["reason"], each["file"], each["line"]]
        for each in dynamos.breaks
        if (each["compile_id"], each["ordinal"]) == (explained[0]["compile_id"], explained[0]["ordinal"])
    ]
    assert found == [[reason, file, line]]


def test_ids_that_a_reset_gives_again_are_told_apart(dynamos: Ran) -> None:
    keys = [(row["compile_id"], row["ordinal"]) for row in dynamos.rows]
    assert len(set(keys)) == len(keys)
    again = [row["ordinal"] for row in dynamos.rows if row["compile_id"] == "0/0"]
    assert again == list(range(len(again)))
    assert len(again) > 2


def test_an_imported_trace_of_the_same_run_has_the_same_rows(
    dynamos: Ran, trace: Path, tmp_path: Path
) -> None:
    imported = CliRunner().invoke(app, ["import", str(trace), "-o", str(tmp_path / "x.db")])
    assert imported.exit_code == 0, imported.output
    same = ("compile_id", "ordinal", "kind", "reason", "function", "file", "line", "graph_breaks", "guards")
    with Ledger.open(tmp_path / "x.db") as ledger:
        rows = ledger.sql("SELECT * FROM compilations ORDER BY start_ns")
        breaks = ledger.sql("SELECT * FROM graph_breaks")
    assert [[row[name] for name in same] for row in rows] == [
        [row[name] for name in same] for row in dynamos.rows
    ]
    place = ("compile_id", "ordinal", "reason", "file", "line", "count")
    assert [[row[name] for name in place] for row in breaks] == [
        [row[name] for name in place] for row in dynamos.breaks
    ]


@pytest.fixture(scope="module")
def inductors(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("inductor")
    return Ran(folder, TORCHINDUCTOR_CACHE_DIR=str(folder / "cache"))


@pytest.mark.slow
def test_with_inductor_each_record_of_torchs_is_a_row(inductors: Ran) -> None:
    inductors.check_records()
    assert inductors.gaps == []


@pytest.mark.slow
def test_backward_is_a_row_of_its_own_and_comes_from_the_cache_with_forward(inductors: Ran) -> None:
    cold, backward, warm = inductors.of("forward")[:3]
    assert [row["kind"] for row in (cold, backward, warm)] == ["first", "backward", "first"]
    assert cold["compile_id"] == backward["compile_id"]
    assert (cold["fx_graph_cache"], cold["aot_cache"]) == ("miss", "miss")
    assert backward["fx_graph_cache"] == "miss"
    assert (warm["fx_graph_cache"], warm["aot_cache"]) == ("hit", "hit")
    assert len(inductors.of("forward")) == 3


@pytest.mark.slow
def test_the_caches_answers_are_those_that_torch_counts(inductors: Ran) -> None:
    counts = inductors.torch["caches"]
    answers = [row["fx_graph_cache"] for row in inductors.rows]
    # Out of AOTAutograd's cache forward and backward come together: two hits of one compile.
    assert (answers.count("miss"), answers.count("hit")) == (counts["fxgraph_cache_miss"], 1)
    answers = [row["aot_cache"] for row in inductors.rows]
    assert (answers.count("miss"), answers.count("hit")) == (
        counts["autograd_cache_miss"],
        counts["autograd_cache_hit"],
    )


@pytest.mark.slow
def test_phases_add_up_to_the_duration(inductors: Ran) -> None:
    phases = ("dynamo_ns", "aot_ns", "inductor_ns", "codegen_ns", "triton_ns")
    for row in inductors.rows:
        assert sum(row[phase] for phase in phases) == row["duration_ns"], row
        assert row["triton_ns"] == 0
    cold, backward, warm = inductors.of("forward")
    assert cold["codegen_ns"] > cold["dynamo_ns"] > 0
    assert backward["dynamo_ns"] == 0 < backward["inductor_ns"]
    assert warm["inductor_ns"] == 0 < warm["codegen_ns"]


@pytest.mark.slow
def test_what_is_compiled_ahead_of_time_is_a_row(inductors: Ran) -> None:
    (ahead,) = [row for row in inductors.rows if row["fx_graph_cache"] == "disabled"]
    assert ahead["outcome"] == "completed"
    assert ahead["cache_bypass_reason"] == "cache not enabled"
    assert ahead["codegen_ns"] > ahead["inductor_ns"] > 0
    # A strict export is Dynamo's alone; one that is not strict tells torch's log nothing.
    capture = inductors.rows[inductors.rows.index(ahead) - 1]
    assert (capture["outcome"], capture["inductor_ns"], capture["codegen_ns"]) == ("completed", 0, 0)
