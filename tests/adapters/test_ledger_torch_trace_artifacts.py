"""What torch's artifacts say of a compile, by examples as versions from 2.6 on write them."""

import pytest

from ledger_torch_trace.artifacts import facts_of, is_of_compile

BREAK = b'{"artifact": {"name": "dynamo_graph_break_reason", "encoding": "string"}, "frame_id": 0}'
REASONS = b'{"artifact": {"name": "recompile_reasons", "encoding": "json"}, "frame_id": 0}'
KERNELS = b'{"artifact": {"name": "triton_kernel_info", "encoding": "json"}}'
STACK = '  File "/model.py", line 22, in f\n    print(x)\n'


@pytest.mark.parametrize(
    "text",
    [
        f"Graph break in user code at /model.py:22\nReason: builtin: print\nUser code traceback:\n{STACK}",
        "Graph break in user code at /model.py:22\nGraph Break Reason: Encountered graph break when "
        f"attempting to trace CALL: a call, e.g. f(x, y):\n\nbuiltin: print\n\nUser code traceback:\n{STACK}",
    ],
    ids=["2.6", "2.13"],
)
def test_a_break_has_its_place_and_its_reason(text: str) -> None:
    place = {"reason": "builtin: print", "file": "/model.py", "line": 22}
    assert facts_of(BREAK, text.encode()) == {"graph_breaks": [place]}


def test_a_break_in_other_words_is_kept_whole() -> None:
    assert facts_of(BREAK, b"something else\n") == {"graph_breaks": [{"reason": "something else"}]}


def test_of_several_reasons_of_a_recompile_the_newest_versions_counts() -> None:
    assert facts_of(REASONS, b'["0/1: n == 3", "0/0: n == 2"]') == {"recompile_reason": "0/1: n == 3"}
    assert facts_of(REASONS, b"0/0: n == 2") == {"recompile_reason": "0/0: n == 2"}
    assert facts_of(REASONS, b"[]") == {}
    assert facts_of(REASONS, b"") == {}


def test_kernels_say_what_the_autotune_cache_answered() -> None:
    text = b'{"a": {"autotune_cache_state": "hit"}, "b": {"compile_time_us": 1}, "c": 3}'
    assert facts_of(KERNELS, text) == {"autotune_cache": {"hit": 1}}
    assert facts_of(KERNELS, b"not JSON") == {}
    assert facts_of(KERNELS, b"{}") == {}


def test_other_artifacts_are_passed_over() -> None:
    assert is_of_compile(BREAK)
    assert is_of_compile(REASONS)
    assert is_of_compile(KERNELS)
    assert not is_of_compile(b'{"artifact": {"name": "before_post_grad_graph", "encoding": "string"}}')
