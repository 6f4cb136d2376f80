"""Objects of which nothing can be had, and every call of a recorder's that takes one."""

from collections.abc import Callable

from ledger import Recorder


class OddError(Exception):
    """An exception that can't be written down."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Odd:
    """An object that raises, whatever is asked of it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def fail(self, *_: object) -> object:
        raise self.error

    __str__ = __repr__ = __mul__ = __rmul__ = __eq__ = __hash__ = __lt__ = __int__ = __index__ = fail  # type: ignore[assignment]
    __iter__ = __len__ = __bool__ = __float__ = __round__ = __format__ = __getitem__ = fail  # type: ignore[assignment]


PANIC = type("PanicException", (BaseException,), {})("as pydantic raises")
ERRORS = [ValueError("odd"), OddError(), SystemExit(3), GeneratorExit(), PANIC]


def odd_calls(recorder: Recorder, odd: object) -> list[Callable[[], object]]:
    """Return every call of the recorder's that takes an object, with an odd one."""
    return [
        lambda: recorder.start(odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", role=odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", component=odd, activity=odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", source=odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", parent=odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", data=odd),  # type: ignore[arg-type]
        lambda: recorder.start("dynamo", data={"a": odd}),
        lambda: recorder.start("dynamo", at_ns=odd),  # type: ignore[arg-type]
        lambda: recorder.stop(odd),  # type: ignore[arg-type]
        lambda: recorder.stop(0, outcome=odd),  # type: ignore[arg-type]
        lambda: recorder.stop(0, error=odd),  # type: ignore[arg-type]
        lambda: recorder.stop(0, data={"a": odd}),
        lambda: recorder.stop(0, at_ns=odd),  # type: ignore[arg-type]
        lambda: recorder.claim(odd, source="log"),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source=odd),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", text=odd),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", interval=odd),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", resolution_ns=odd),  # type: ignore[arg-type]
        lambda: recorder.claim(1, source="log", data={"a": odd}),
        lambda: recorder.milestone(odd),  # type: ignore[arg-type]
        lambda: recorder.gap(odd),  # type: ignore[arg-type]
        lambda: recorder.gap("dropped", count=odd),  # type: ignore[arg-type]
        lambda: recorder.gap("dropped", detail=odd),  # type: ignore[arg-type]
        lambda: recorder.hook_missing("dynamo", odd),  # type: ignore[arg-type]
        lambda: recorder.hook_missing(odd, "gone"),  # type: ignore[arg-type]
        lambda: recorder.add_hook(odd),  # type: ignore[arg-type]
        lambda: recorder.name_process(odd),  # type: ignore[arg-type]
    ]
