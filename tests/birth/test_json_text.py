"""JSON as `json` writes it, of the values that the first events hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_birth.json_text import json_fields, json_text, json_value

VALUES = st.none() | st.integers() | st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_is_as_json_has_it(text: str) -> None:
    assert json_text(text) == json.dumps(text, ensure_ascii=False).encode()


@given(VALUES)
def test_a_value_can_be_read_back(value: object) -> None:
    assert json.loads(json_value(value)) == value  # type: ignore[arg-type]


def test_what_utf_8_can_not_say_becomes_a_question_mark() -> None:
    assert json_text("a\udc80b") == b'"a?b"'


def test_what_is_none_is_left_out() -> None:
    assert json_fields({"a": None, "b": 1, "c": ("x",)}) == b',"b":1,"c":["x"]'


@pytest.mark.parametrize("value", [1.5, True, [1], {"a": 1.5}, object()])
def test_another_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        json_value(value)  # type: ignore[arg-type]
