"""Tables and lines of HTML, as objects show themselves in a notebook."""

from html.parser import HTMLParser

import pytest

from ledger.notebook_tables import Bar, Figure, html_line, html_table

HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror=\"alert('x')\">&amp;"


class Cells(HTMLParser):
    """The tags of some HTML, in order, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_hostile_text_stays_text_wherever_it_is() -> None:
    for html in (html_table(HOSTILE, [HOSTILE], [[HOSTILE], [Figure(HOSTILE)]]), html_line(HOSTILE)):
        found = Cells(html)
        assert set(found.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "div"}
        assert set(found.texts) == {HOSTILE}


def test_a_long_text_is_cut() -> None:
    assert Cells(html_line("x" * 10_000)).texts == ["x" * 200 + "…"]


def test_numbers_stand_on_the_right_and_nothing_is_empty() -> None:
    assert html_table("c", ["h"], [[1234, 2.5, Figure("+1"), None, "text"]]).endswith(
        '<tbody><tr><td style="text-align: right">1,234</td><td style="text-align: right">2.500</td>'
        '<td style="text-align: right">+1</td><td></td><td>text</td></tr></tbody></table>'
    )


@pytest.mark.parametrize(
    ("share", "blocks"),
    [(1.0, "█" * 20), (0.5, "█" * 10), (0.05, "█"), (0.03, "▋"), (1e-9, "▏"), (0.0, "")],
)
def test_a_bar_is_as_long_as_its_share(share: float, blocks: str) -> None:
    assert "".join(Cells(html_table("c", ["h"], [[Bar(share)]])).texts[2:]) == blocks
