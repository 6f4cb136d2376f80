"""A budget's limits on findings: the time at stake in the worst of those that they name."""

import json
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ledger import Budget, Event, SessionEnded, SessionStarted, Verdict, check_budget, reduce
from ledger.analysis.budget import Baseline, evaluate
from ledger.analysis.budget.ci_output import annotations, junit
from ledger.cli import app
from ledger.testing import MemoryLedger
from ledger.vocabulary import FINDINGS
from tests.support.random_sessions import Tape
from tests.support.reconciled import S
from tests.support.recordings import recorded, write_ledger

ADVICE = "Keep the compile cache's folder from start to start"
GUARD = "0/0: n == 2    # return n * x  # model.py:13 in f"


def budget(finding: object, at_most: str = "0 s", **limit: object) -> Budget:
    return Budget.from_mapping({"finding": [{"finding": finding, "at_most": at_most, **limit}]})


def on_findings(rows: Iterable[Verdict]) -> Verdict:
    """The only row of a limit on findings."""
    (row,) = (row for row in rows if row.kind == "finding")
    return row


def cold(finding: object, at_most: str = "0 s", **limit: object) -> Verdict:
    """The row of such a limit for a recorded cold start of vLLM."""
    verdicts = check_budget(recorded("vllm"), budget(finding, at_most, **limit), session="vllm cold")
    return on_findings(verdicts.rows)


def program(session: str, *recompiles_s: float, label: str | None = None) -> list[Event]:
    """A session that compiles a function, and compiles it again in as many seconds each."""
    tape = Tape(session=session)
    tape.add(SessionStarted, 0, label=label, wall_ns=0)
    tape.join(0, host="host", wall_ns=0)
    at_ns = 0
    for number, seconds in enumerate((9, *recompiles_s)):
        tape.start(number, at_ns, data={"compile_id": f"0/{number}"})
        at_ns += round(seconds * S)
        reason = {"recompile_reason": GUARD} if number else {}
        facts = {"co_name": "f", "co_filename": "/src/model.py", "co_firstlineno": 12, **reason}
        tape.stop(number, at_ns, data=facts)
    tape.add(SessionEnded, at_ns, outcome="completed")
    tape.leave(at_ns, event_count=len(tape.events))
    return tape.events


def test_the_worst_finding_is_measured_and_those_beyond_the_limit_are_shown() -> None:
    row = cold("cache_empty", "5 s")
    found = [one for one in recorded("vllm").findings("vllm cold") if one.finding == "cache_empty"]
    assert len(found) == 4
    assert (row.measured, row.allowed, row.is_broken) == (found[0].stake_ns, 5 * S, True)
    assert row.name == "finding: cache_empty"
    shown = [one for one in found if one.stake_ns > 5 * S]
    assert len(shown) == 3
    assert [(one.ns, one.what, one.finding, one.advice) for one in row.trace] == [
        (one.stake_ns, one.summary, one.finding, one.advice) for one in shown
    ]
    assert row.details[:3] == (
        "in process Worker (18057-850a4c6c) of session 20261128-131100-a7c386be",
        "  10.693 s, Qwen2_5_VisionPatchEmbed compiled: the cache had nothing for it (cache_empty)",
        f"    → {ADVICE}",
    )
    assert not cold("cache_empty", "11 s").is_broken


def test_where_there_is_no_such_finding_it_is_0_s_and_the_limit_holds() -> None:
    row = cold("recompiles")
    assert (row.measured, row.is_broken, row.fault, row.trace) == (0, False, None, ())
    assert row.cells == ("finding: recompiles", "at most 0 s", "0 s", "", "holds")
    assert not on_findings(evaluate(budget(list(FINDINGS)), [reduce([])], None).rows).is_broken


def test_a_limit_may_name_several_findings() -> None:
    row = cold(["recompiles", "slow_imports", "cache_empty"])
    assert row.name == "finding: recompiles and slow_imports and cache_empty"
    assert [one.finding for one in row.trace[:3]] == ["cache_empty", "slow_imports", "cache_empty"]
    # Imports of several processes are charged to none of them.
    assert row.trace[1].process is None
    assert [line.partition(", ")[0] for line in row.details if line.startswith("  1")] == [
        "  10.693 s", "  10.552 s", "  10.340 s",
    ]  # fmt: skip
    assert not any("in process None" in line for line in row.details)
    alone = cold("slow_imports")
    assert (alone.process, alone.details[0]) == (None, f"in session {alone.session}")


@pytest.mark.parametrize(
    ("selected", "number"),
    [
        ({"role": "encoder"}, 3),
        ({"component": "backbone"}, 1),
        ({"role": "encoder", "component": "backbone"}, 0),
        ({"process": "Worker"}, 4),
        ({"process": "Worker rank 0"}, 4),
        ({"process": "18057-850a4c6c"}, 4),
        ({"process": "Worker rank 1"}, 0),
        ({"process": "EngineCore"}, 0),
    ],
)
def test_it_may_select_a_role_a_component_and_a_process(selected: dict[str, str], number: int) -> None:
    row = cold("cache_empty", "0 s", **selected)
    assert (len(row.trace), row.is_broken) == (number, number > 0)
    assert row.name == f"finding: cache_empty, {', '.join(selected.values())}"


def test_what_the_ledger_knows_of_the_start_before_counts() -> None:
    ledger, keys = MemoryLedger(two_starts()), ("cache_key_changed", "cache_empty")
    verdicts = {
        key: on_findings(check_budget(ledger, budget(key), session="s2").rows).is_broken for key in keys
    }
    assert verdicts == {"cache_key_changed": True, "cache_empty": False}
    (broken,) = check_budget(ledger, budget("cache_key_changed"), session="s2").broken
    assert "    → Undo that change, or keep both caches; see the query `why_cold`" in broken.details
    assert "backbone compiled (key changed: code_hash)" in broken.details[1]
    assert check_budget(ledger, budget("cache_key_changed"), session="s1").broken == ()


def two_starts() -> list[Event]:
    """Two starts that compile the backbone, the second with another key of the cache."""
    events: list[Event] = []
    for number, code_hash in ((1, "a"), (2, "b")):
        tape = Tape(session=f"s{number}")
        wall_ns = number * 86_400 * S
        tape.add(SessionStarted, 0, wall_ns=wall_ns)
        tape.join(0, host="host", wall_ns=wall_ns)
        tape.start(0, 0, "torch_compile", "monitor", component="backbone")
        data = {"cache_key": {"code_hash": code_hash}}
        tape.span(1, S, 8 * S, stage="backend_compile", source="backend", component="backbone", data=data)
        tape.stop(0, 9 * S, data={"cache": "compiled"})
        tape.add(SessionEnded, 10 * S, outcome="completed")
        events += tape.events
    return events


def test_a_relative_limit_compares_with_the_baselines_median() -> None:
    before = [program(f"m{number}", *again, label="main") for number, again in enumerate([(), (1,), (2,)])]
    events = [event for one in before for event in one]
    new, same = program("new", 2, 1, label="new"), program("same", 1, label="same")
    ledger = MemoryLedger([*events, *new, *same])
    limits = Budget.from_mapping(
        {"baseline": "main", "finding": [{"finding": "recompiles", "at_most_over_baseline": "10 %"}]}
    )
    row = on_findings(check_budget(ledger, limits, session="new").rows)
    assert (row.measured, row.allowed, row.is_broken) == (3 * S, 11 * S // 10, True)
    assert "the baseline's median is 1.000 s over 3 sessions, from 0 s to 2.000 s" in row.sentence
    assert "  3.000 s, f (model.py:12), 2 times more: n == 2 (recompiles)" in row.details
    assert check_budget(ledger, limits, session="same").broken == ()


def test_what_no_session_of_the_baseline_has_is_over_it() -> None:
    limits = Budget.from_mapping({"finding": [{"finding": "recompiles", "at_most_over_baseline": "10 %"}]})
    baseline = Baseline("main", [reduce(program("main"))])
    row = on_findings(evaluate(limits, [reduce(program("new", 2))], baseline).rows)
    assert (row.measured, row.allowed, row.fault, row.is_broken) == (2 * S, 0, None, True)


def test_of_several_sessions_the_worst_is_compared() -> None:
    sessions = [reduce(program(name, *again)) for name, again in (("a", (1,)), ("b", (3,)), ("c", ()))]
    row = on_findings(evaluate(budget("recompiles", "2 s"), sessions, None).rows)
    assert (row.session, row.measured, row.is_broken) == ("b", 3 * S, True)


def test_every_output_names_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    write_ledger("vllm", tmp_path / "startup.db")
    (tmp_path / "budget.toml").write_text('[[finding]]\nfinding = "cache_empty"\nat_most = "0 s"\n')
    arguments = [str(tmp_path / "startup.db"), "-b", str(tmp_path / "budget.toml"), "-s", "vllm cold"]
    xml = tmp_path / "check.xml"
    done = CliRunner().invoke(app, ["check", *arguments, "--github", "--junit", str(xml)])
    assert done.exit_code == 1
    what = "backbone compiled: the cache had nothing for it (cache_empty)"
    text, _, annotation = done.stdout.partition("::error title=")
    failure = ElementTree.parse(xml).getroot().findtext(".//failure")
    for shown in (text, annotation, str(failure)):
        assert what in shown
        assert ADVICE in shown
    assert annotation.startswith(
        "finding%3A cache_empty::finding: cache_empty: 10.693 s measured; at most 0 s"
    )
    printed = CliRunner().invoke(app, ["check", *arguments, "--json"])
    (row,) = (row for row in json.loads(printed.stdout)["limits"] if row["kind"] == "finding")
    assert row["trace"][1] == {
        "process": "18057-850a4c6c", "interval": None, "claim": None, "ns": 10_339_715_476,
        "what": "backbone compiled: the cache had nothing for it", "finding": "cache_empty",
        "advice": ADVICE,
    }  # fmt: skip


def test_hostile_names_stay_on_their_lines() -> None:
    name = "a\n::error::b\x1b[31m\r\x00"
    tape = Tape()
    tape.add(SessionStarted, 0, wall_ns=0)
    tape.join(0, host="host", name=name)
    tape.span(0, 0, 9 * S, stage="weights_load", source="engine", activity="load", role=name)
    tape.add(SessionEnded, 10 * S, outcome="completed")
    verdicts = evaluate(budget(list(FINDINGS), process=name), [reduce(tape.events)], None)
    (row,) = verdicts.broken
    assert all(line.isprintable() for line in (row.sentence, *row.details))
    assert len(list(annotations(verdicts))) == 1
    ElementTree.fromstring(junit(verdicts, "budget.toml"))
