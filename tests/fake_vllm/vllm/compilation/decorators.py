"""As in vLLM: what a model does when it is first called."""

import hashlib
import os
from typing import Any

import torch

from vllm import is_at_least
from vllm.compilation.wrapper import TorchCompileWithNoGuardsWrapper
from vllm.config import CompilationMode, get_current_vllm_config, set_current_vllm_config
from vllm.logger import init_logger

from .monitor import monitor_profiling_run, monitor_torch_compile

logger = init_logger(__name__)


def _known_to_monitor(model: Any, **further: Any) -> dict[str, Any]:
    """What of a model vLLM tells its monitor: that grew from version to version."""
    if is_at_least("0.32.0"):
        return {"is_encoder": model._is_encoder, "tag": model._compile_tag, **further}
    return {"is_encoder": model._is_encoder} if is_at_least("0.20.0") else {}


def _known_to_first_run(model: Any) -> dict[str, str]:
    return {"tag": model._compile_tag} if is_at_least("0.32.0") else {}


def _prefix(model: Any) -> str:
    return f"[{model._compile_tag}] " if model._compile_tag else ""


def _try_load_aot_compiled_fn(model: Any, aot_compilation_path: str) -> Any | None:
    """Return what an earlier start compiled; None where there is nothing, or nothing usable."""
    try:
        with monitor_torch_compile(model.vllm_config, **_known_to_monitor(model, announce_start=False)):
            with set_current_vllm_config(model.vllm_config), open(aot_compilation_path, "rb") as file:
                loaded_fn = torch.compiler.load_compiled_function(file)
            loaded_fn._artifacts.compiled_fn.finalize_loading(model.vllm_config)
            logger.info_of(_prefix(model), "Directly load AOT compilation from path %s", aot_compilation_path)
        return loaded_fn
    except Exception as e:
        if os.path.exists(aot_compilation_path):
            logger.warning(
                "%sCompiling model again due to a load failure from %s, reason: %s",
                _prefix(model) if is_at_least("0.32.0") else "",
                aot_compilation_path,
                "Compile cache file corrupted." if isinstance(e, EOFError) else str(e),
            )
        if os.environ.get("VLLM_FORCE_AOT_LOAD") == "1":
            raise e
        return None


def support_torch_compile(cls: Any = None, *, is_encoder: bool = False) -> Any:
    """Have a class's instances compiled when they are first called."""
    if cls is None:
        return lambda cls: _support_torch_compile(cls, is_encoder)
    return _support_torch_compile(cls, is_encoder)


def _support_torch_compile(cls: Any, is_encoder: bool) -> Any:
    cls.__bases__ = (*cls.__bases__, TorchCompileWithNoGuardsWrapper)
    old_init = cls.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        old_init(self, *args, **kwargs)
        self.vllm_config = get_current_vllm_config()
        mode = self.vllm_config.compilation_config.mode
        self.do_not_compile = mode in (CompilationMode.NONE, CompilationMode.STOCK_TORCH_COMPILE)
        if self.do_not_compile:
            return
        self.was_aot_compile_fn_loaded_from_disk = False
        self.compiled = False
        from vllm.compilation.backends import model_tag as _current_model_tag

        self._compile_tag = (cls.__name__ if is_encoder else "") or _current_model_tag
        TorchCompileWithNoGuardsWrapper.__init__(
            self, compile_prefix=cls.__name__ if is_encoder else "", is_encoder=is_encoder
        )

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.do_not_compile:
            return self.forward(*args, **kwargs)
        if getattr(self, "aot_compiled_fn", None) is not None:
            return self.aot_compiled_fn(self, *args, **kwargs)
        use_aot_compile = os.environ.get("VLLM_USE_AOT_COMPILE", "1") == "1"
        cache_dir = aot_compilation_path = None
        if use_aot_compile:
            hash_key = hashlib.sha256(f"{cls.__qualname__}{self._instance}".encode()).hexdigest()[:10]
            parallel = self.vllm_config.parallel_config
            cache_dir = os.path.join(
                os.environ["VLLM_CACHE_ROOT"], "torch_aot_compile", hash_key, f"rank_{parallel.rank}_0"
            )
            aot_compilation_path = os.path.join(cache_dir, "model")
            if os.environ.get("VLLM_DISABLE_COMPILE_CACHE") != "1":
                loaded_fn = _try_load_aot_compiled_fn(self, aot_compilation_path)
                if loaded_fn is not None:
                    self.aot_compiled_fn = loaded_fn
                    self.was_aot_compile_fn_loaded_from_disk = True
                    with monitor_profiling_run(**_known_to_first_run(self)):
                        return self.aot_compiled_fn(self, *args, **kwargs)
        if self.compiled:
            return TorchCompileWithNoGuardsWrapper.__call__(self, *args, **kwargs)
        self.vllm_config.compilation_config.traced_files.add(__file__)
        if use_aot_compile:
            self._aot_compilation_path = aot_compilation_path
            self._aot_cache_dir = cache_dir
            with monitor_torch_compile(self.vllm_config, **_known_to_monitor(self)):
                self.aot_compiled_fn = self.aot_compile(*args, **kwargs)
                self.save_aot_compiled_function()
            with monitor_profiling_run(**_known_to_first_run(self)):
                output = self.aot_compiled_fn(self, *args, **kwargs)
        else:
            message = "torch.compile and initial profiling/warmup run together took %.2f s in total"
            with monitor_torch_compile(
                self.vllm_config,
                "%s" + message if is_at_least("0.32.0") else message,
                **_known_to_monitor(self),
            ):
                output = TorchCompileWithNoGuardsWrapper.__call__(self, *args, **kwargs)
        self.compiled = True
        return output

    def save_aot_compiled_function(self: Any) -> None:
        if os.environ.get("VLLM_DISABLE_COMPILE_CACHE") == "1":
            return
        try:
            os.makedirs(self._aot_cache_dir, exist_ok=True)
            tmp_file = f"{self._aot_compilation_path}.{os.getpid()}.tmp"
            self.aot_compiled_fn.save_compiled_function(tmp_file)
            os.replace(tmp_file, self._aot_compilation_path)
            logger.info_of(_prefix(self), "saved AOT compiled function to %s", self._aot_compilation_path)
        except Exception as e:
            logger.warning("unable to save AOT compiled function to %s: %s", self._aot_compilation_path, e)

    cls.__init__ = __init__
    cls.__call__ = __call__
    cls.save_aot_compiled_function = save_aot_compiled_function
    cls._instance = ""
    return cls
