"""The hooks of a transformers model: its load, the compile of its forward pass, first run and first token.

A model's role is known when it runs: `drafter` where `generate` has it as an assistant, `encoder` for what
turns images, videos or sound into features, else `language_model`. A load serves the whole model: no role.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet

from ledger.adapters import FIRST_TOKEN
from ledger_engine.hook_targets import HookTarget
from ledger_engine.model_parts import Part
from ledger_engine.patching import Call, Ended, HookPoint, Patcher, Replacement
from ledger_engine.stages import OpenStage, Stages

_ENCODER_METHODS: Final = ("get_image_features", "get_video_features", "get_audio_features")
"""The methods through which a model runs an encoder, by the conventions of transformers' own models."""
_ENCODERS: Final = (
    "vision_tower", "vision_model", "visual", "image_encoder", "audio_tower", "audio_model", "audio_encoder",
)  # fmt: skip
"""The attributes that hold one."""


class ModelHooks:
    """The hooks of `TABLE` that are more than one stage, by their names there."""

    def __init__(self, stages: Stages, patcher: Patcher) -> None:
        self._stages = stages
        self._patcher = patcher
        self._lock = threading.Lock()
        self._encoder_methods: set[tuple[type, str]] = set()
        """The methods that are hooked already, by the class that defines them."""
        self._has_run: WeakSet[Any] = WeakSet()
        self._has_compiled: WeakSet[Any] = WeakSet()
        self._roles: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
        """Of models that are not the language model."""

    def stage(self, stage: str) -> HookPoint:
        """Return a hook that records one stage."""
        return self._stages.hook(stage)

    def model_load(self, call: Call) -> Generator[None, Ended, None]:
        """Record `from_pretrained`, and hook the encoders of the model's class."""
        name = _name(call.given.get("cls"))
        begun = self._stages.begin("model_load", "engine", Part(None, name))
        ended = yield
        self._stages.end(begun, ended.error)
        if ended.error is None:
            # With `output_loading_info` there is more than the model.
            result: Any = ended.result
            self._hook_encoders(result[0] if type(result) is tuple else result)

    def model_init(self, call: Call) -> Generator[None, Ended, None]:
        """Record the making of a model: the body of the context managers that are returned here for it."""
        ended = yield
        contexts: Any = ended.result
        if hasattr(contexts, "insert"):
            contexts.insert(0, _ModelInit(self._stages))

    def torch_compile(self, call: Call) -> Generator[None, Ended, Replacement | None]:
        """Record the first call of a model's compiled forward pass, which compiles it and runs it once."""
        ended = yield
        model = call.owner
        if ended.error is not None or model in self._has_compiled or ended.result == model.__call__:
            return None
        return Replacement(self._first_call(model, ended.result, call.given.get("compile_config")))

    def _first_call(self, model: Any, compiled: Callable[..., Any], config: Any) -> Callable[..., Any]:
        def first_call(*args: Any, **kwargs: Any) -> Any:
            if model in self._has_compiled:
                return compiled(*args, **kwargs)
            begun = self._begin_compile(model, config)
            try:
                result = compiled(*args, **kwargs)
            except BaseException as error:
                self._end_compile(begun, error)
                raise
            self._end_compile(begun, None)
            return result

        return first_call

    def _begin_compile(self, model: Any, config: Any) -> OpenStage | None:
        try:
            self._has_compiled.add(model)
            data = {"includes": "first_run"}
            data |= {
                name: str(getattr(config, name)) for name in ("backend", "mode") if hasattr(config, name)
            }
            return self._stages.begin("torch_compile", "engine", self._part(model), data)
        except Exception as error:
            self._note(error)
            return None

    def _end_compile(self, begun: OpenStage | None, left_by: BaseException | None) -> None:
        try:
            if begun is not None:
                self._stages.end(begun, left_by)
        except Exception as error:
            self._note(error)

    def first_run(self, call: Call) -> Generator[None, Ended, None]:
        """Record the first `generate` of a model, which compiles, captures and warms up what it needs."""
        model = call.owner
        assistant = call.given.get("assistant_model")
        if assistant is not None:
            self._roles.setdefault(assistant, "drafter")
        if model in self._has_run:
            yield
            return
        self._has_run.add(model)
        begun = self._stages.begin("first_run", "engine", self._part(model))
        ended = yield
        self._stages.end(begun, ended.error)

    def first_token(self, call: Call) -> Generator[None, Ended, None]:
        """Note the first token: whether that was the last one is asked as soon as it is chosen."""
        self._stages.recorder.milestone(FIRST_TOKEN)
        yield

    def encoder_run(self, call: Call) -> Generator[None, Ended, None]:
        """Record the first run of a model's encoder."""
        encoder = next((found for name in _ENCODERS if (found := getattr(call.owner, name, None))), None)
        # A model for a task passes the call on to the model inside it, which has the encoder.
        if encoder is None or encoder in self._has_run:
            yield
            return
        self._has_run.add(encoder)
        begun = self._stages.begin("first_run", "engine", Part("encoder", _name(type(encoder))))
        ended = yield
        self._stages.end(begun, ended.error)

    def _hook_encoders(self, model: Any) -> None:
        """Hook the methods that run an encoder, where the classes of a model's modules define them."""
        kinds = dict.fromkeys(kind for module in model.modules() for kind in type(module).__mro__)
        for kind in kinds:
            for name in _ENCODER_METHODS:
                if name not in vars(kind):
                    continue
                with self._lock:
                    if (kind, name) in self._encoder_methods:
                        continue
                    self._encoder_methods.add((kind, name))
                target = HookTarget(kind.__module__, f"{kind.__qualname__}.{name}", hook="encoder_run")
                reason = self._patcher.install(kind, name, target, self.encoder_run)
                if reason is not None:
                    self._stages.recorder.hook_missing(target.where, reason)

    def _part(self, model: Any) -> Part:
        return Part(self._roles.get(model, "language_model"), _name(type(model)))

    def _note(self, error: Exception) -> None:
        detail = f"ModelHooks.torch_compile: {type(error).__name__}: {error}"
        self._stages.recorder.gap("hook_failed", detail=detail)


class _ModelInit(AbstractContextManager[None]):
    """The stage `model_init` around a body that nothing can be put around otherwise."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._begun: OpenStage | None = None

    def __enter__(self) -> None:
        self._begun = self._stages.begin("model_init", "engine")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._begun is not None:
            self._stages.end(self._begun, error)


def _name(kind: Any) -> str | None:
    return getattr(kind, "__name__", None)
