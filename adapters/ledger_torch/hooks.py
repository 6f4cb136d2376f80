"""Replaces the two stubs through which torch reports its compiles.

`torch._dynamo.utils` has two functions that do nothing, for others to replace: one gets every begin and end,
the other every CompilationMetrics record. Ours record, call the previous function, and never raise.
They are installed when the module is imported, since importing it here would slow down every `import torch`
by seconds.

Whether the hooks are really called is known for certain only after a span has gone through them. That test is
`ledger_torch.self_test`'s, in a process of its own: here it would leave a key in torch's
`compilation_time_metrics`, create torch's event logger before the program had set the prefix of its id, and
write a begin and an end of ours into the program's TORCH_TRACE.
"""

import logging
import threading
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any, Final

from wrapt import register_post_import_hook

from ledger import Recorder
from ledger.adapters import when_ready
from ledger_torch.claims import claim, own_of
from ledger_torch.hook_targets import EVENT_HOOK, LOGGER, LOGGER_GETTER, METRICS_HOOK, UTILS
from ledger_torch.spans import Spans
from ledger_torch.totals import Totals

_LOG: Final = logging.getLogger("ledger")
_lock: Final = threading.Lock()
_hooked: set[str] = set()
"""Names of modules that already have our hooks."""
_waiting = False


def install_on_import(recorder: Recorder | None = None) -> None:
    """Install the hooks when `torch._dynamo.utils` is imported, or now if it already is."""
    global _waiting
    recorder = recorder or Recorder.from_environment()
    if not recorder.enabled:
        return
    with _lock:
        if _waiting:
            return
        _waiting = True

    def on_import(utils: ModuleType) -> None:
        try:
            install(utils, recorder)
        except Exception as error:
            # This runs inside the program's own import.
            _LOG.warning("compile-ledger: torch.compile is not recorded: %s: %s", type(error).__name__, error)

    register_post_import_hook(on_import, UTILS)


def install(utils: ModuleType, recorder: Recorder) -> None:
    """Replace the stubs in `torch._dynamo.utils`, once, and report to the recorder which ones torch calls."""
    with _lock:
        if utils.__name__ in _hooked:
            return
        _hooked.add(utils.__name__)
    spans = Listener(recorder).listen(utils)
    totals = Totals(recorder, utils, spans)
    recorder.on_close(totals.claim)
    when_ready(totals.claim)


class Listener:
    """Passes torch's events to one recorder; several listeners can be active in a process."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder: Final = recorder
        self.is_listening = True

    def listen(self, utils: ModuleType) -> Spans:
        """Hook the stubs, and report to the recorder which ones torch calls."""
        spans = Spans(self.recorder, _depth_by(utils), utils)

        def observe_metrics(metrics: Any) -> None:
            claim(self.recorder, metrics, own_of(metrics, spans), utils)

        for name, observe in ((EVENT_HOOK, spans.observe), (METRICS_HOOK, observe_metrics)):
            if (reason := missing(utils, name)) is not None:
                self.recorder.hook_missing(f"{utils.__name__}.{name}", reason)
                continue
            with _lock:
                setattr(utils, name, _before(getattr(utils, name), observe, self))
            self.recorder.add_hook(f"{utils.__name__}.{name}")
        return spans

    def stop(self, utils: ModuleType | None) -> None:
        """Stop recording, and remove the hooks."""
        self.is_listening = False
        with _lock:
            for name in (EVENT_HOOK, METRICS_HOOK):
                # A hook below an active one stays, inactive, until that one is removed.
                hook: Any = getattr(utils, name, None)
                while _is_done(getattr(hook, "listener", None)):
                    hook = hook.__wrapped__
                    setattr(utils, name, hook)


def _is_done(listener: object) -> bool:
    return isinstance(listener, Listener) and not listener.is_listening


def missing(utils: ModuleType, name: str) -> str | None:
    """Return why replacing a stub would record nothing; None if torch's code still calls it."""
    if not callable(getattr(utils, name, None)):
        return "torch has no such function"
    owner = getattr(utils, LOGGER, None) if name == EVENT_HOOK else utils
    if owner is None:
        return f"torch has no {LOGGER} any more"
    if not any(name in code.co_names for code in _code_in(owner, utils.__name__)):
        return "torch does not call it any more"
    return None


def _code_in(owner: object, module: str) -> list[CodeType]:
    """Return the code of the functions that a module or a class defines itself."""
    own = (value for value in vars(owner).values() if getattr(value, "__module__", None) == module)
    return [code for value in own if isinstance(code := getattr(value, "__code__", None), CodeType)]


def _depth_by(utils: ModuleType) -> Callable[[], int] | None:
    """Return a function that counts torch's open spans in the calling thread; None if torch can't say."""
    get_logger: Callable[[], Any] | None = getattr(utils, LOGGER_GETTER, None)
    if get_logger is None or not hasattr(getattr(utils, LOGGER, None), "get_stack"):
        return None
    return lambda: len(get_logger().get_stack())


def _before(
    original: Callable[..., Any], observe: Callable[[Any], None], listener: Listener
) -> Callable[..., Any]:
    """Return a function that calls `observe` with its one argument, and then `original`."""
    warned = False

    def hook(*args: Any, **kwargs: Any) -> Any:
        nonlocal warned
        if not listener.is_listening:
            return original(*args, **kwargs)
        try:
            observe(args[0] if args else next(iter(kwargs.values())))
        except Exception as error:
            # A gap for each missing event, but only one warning: the log is the program's.
            listener.recorder.gap(
                "hook_failed", detail=f"{original.__name__}: {type(error).__name__}: {error}"
            )
            if not warned:
                warned = True
                _LOG.warning("compile-ledger: an event of torch is not recorded", exc_info=True)
        return original(*args, **kwargs)

    hook.__name__ = hook.__qualname__ = original.__name__
    hook.__wrapped__ = original  # pyright: ignore[reportFunctionMemberAccess]
    hook.listener = listener  # pyright: ignore[reportFunctionMemberAccess]
    return hook
