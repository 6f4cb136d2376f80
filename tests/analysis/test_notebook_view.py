"""What a comparison shows in a notebook: both sides, the difference, and how far it can be trusted."""

from html import escape

from ledger import compare, reduce
from ledger.testing import SessionBuilder
from tests.analysis.test_comparison import S, starts
from tests.support.recordings import recorded


def right(*texts: str) -> str:
    return "".join(f'<td style="text-align: right">{text}</td>' for text in texts)


def test_one_session_against_another() -> None:
    html = compare(starts([2 * S]), starts([3 * S]))._repr_html_()
    assert "<strong>b (1 session) against a (1 session)</strong>" in html
    assert "<caption>Seconds by role</caption>" in html
    assert f"<td>encoder</td><td>compile</td>{right('2.000', '3.000', '+1.000')}" in html
    assert f"{'█' * 20}</td>{right('+50')}<td>slower</td>" in html
    assert "<td>torch_compile</td><td>Block</td>" in html
    assert "Not tested: with fewer than 4 sessions on each side" in html


def test_several_sessions_are_medians_and_tested() -> None:
    html = compare(starts(range(S, S + 10)), starts(range(2 * S, 2 * S + 10)))._repr_html_()
    assert "<caption>Seconds by role (medians)</caption>" in html
    assert "b (10 sessions) against a (10 sessions)" in html
    assert "<td>slower</td>" in html
    assert "Not tested" not in html
    assert "not tested" not in html


def test_what_one_side_lacks_is_empty_and_has_no_percentage() -> None:
    html = compare(starts([2 * S], "encoder"), starts([2 * S], "drafter"))._repr_html_()
    assert f"<td>drafter</td><td>compile</td><td></td>{right('2.000', '+2.000')}" in html
    assert "</td><td></td><td>new</td>" in html


def test_of_many_rows_the_first_are_shown() -> None:
    vllm = recorded("vllm")
    comparison = compare([vllm.timeline("vllm cold")], [vllm.timeline("vllm warm")])
    differing = [row for row in comparison.stages if row.difference.verdict != "same"]
    html = comparison._repr_html_()
    assert f"and {len(differing) - 15} more" in html
    assert html.count("<tr>") == 2 + len(comparison.roles) + 15


def test_sides_without_intervals_say_so() -> None:
    empty = reduce([])
    assert "No intervals to compare." in compare([empty], [empty])._repr_html_()


def test_hostile_names_stay_text() -> None:
    name = "<script>alert(1)</script>"
    builder = SessionBuilder()
    builder.begin()
    builder.stop(3 * S, builder.start(S, name, role=name, component=name))
    html = compare([reduce([])], [reduce(builder.events)])._repr_html_()
    assert "<script" not in html
    assert html.count(f"<td>{escape(name)}</td>") == 3
