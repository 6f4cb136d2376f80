"""What of vLLM this adapter rests on, as data that tests hold against the sources of each version.

Names by which `vllm.compilation.decorators` calls its monitor are replaced there, where it imported them: it
looks them up at each call.
"""

from collections.abc import Collection
from typing import Final, NamedTuple


class Target(NamedTuple):
    """A function of vLLM's that is watched."""

    module: str
    name: str
    """Within the module: `CompilerManager.compile`."""
    watch: str
    """The watch's name, or else the stage that it is."""
    reads: tuple[str, ...] = ()
    """The parameters that the watch can't do without."""
    is_context: bool = False
    """Whether it makes context managers."""
    since: str | None = None
    """The first version that has it, where another target does for those before."""

    def fault(self, parameters: Collection[str] | None) -> str | None:
        """Return what keeps a function with these parameters from being watched; None where nothing does."""
        if parameters is None:
            return "vLLM has no such function"
        lacking = [name for name in self.reads if name not in parameters]
        return f"vLLM's has no parameter {', '.join(lacking)}" if lacking else None


OLDEST: Final = "0.19.1"
NEWEST: Final = "0.33.0"
"""The versions whose sources were read, and these and all between them are kept in the tests."""

_DECORATORS: Final = "vllm.compilation.decorators"
_BACKENDS: Final = "vllm.compilation.backends"
_WRAPPER: Final = "vllm.compilation.wrapper"
_LOADER: Final = "vllm.model_executor.model_loader.base_loader"
_CORE: Final = "vllm.v1.engine.core"
_CLIENT: Final = "vllm.v1.engine.core_client"
_WORKER: Final = "vllm.v1.worker.gpu_worker"
_CPU_WORKER: Final = "vllm.v1.worker.cpu_worker"
_RUNNER: Final = "vllm.v1.worker.gpu_model_runner"
_RUNNER_V2: Final = "vllm.v1.worker.gpu.model_runner"
_ENCODER_RUNNER: Final = "vllm.v1.worker.mm_encoder_model_runner"
_CPU_RUNNER: Final = "vllm.v1.worker.cpu_model_runner"
_CPU_RUNNER_V2: Final = "vllm.v1.worker.cpu.model_runner"

TARGETS: Final = (
    # Its log lines
    Target("vllm.logger", "_configure_vllm_root_logger", "logging_configured"),
    # The compile of each part of a model
    Target(_DECORATORS, "monitor_torch_compile", "torch_compile", ("vllm_config",), is_context=True),
    Target(_DECORATORS, "monitor_profiling_run", "first_run", is_context=True),
    Target(_DECORATORS, "_try_load_aot_compiled_fn", "try_load", ("aot_compilation_path",)),
    Target(_WRAPPER, "TorchCompileWithNoGuardsWrapper.__init__", "model_made", ("compile_prefix",)),
    Target(_WRAPPER, "TorchCompileWithNoGuardsWrapper.aot_compile", "aot_compile"),
    Target("torch._dynamo.aot_compile", "AOTCompiledFunction.save_compiled_function", "aot_save"),
    # The backend
    Target(_BACKENDS, "VllmBackend.__call__", "backend_compile"),
    Target(_BACKENDS, "VllmBackend.configure_post_pass", "configure_post_pass"),
    Target(_BACKENDS, "split_graph", "graph_split"),
    Target(
        _BACKENDS, "CompilerManager.compile", "graph_compile", ("compile_range", "graph_index", "num_graphs")
    ),
    Target(_BACKENDS, "CompilerManager.save_to_file", "cache_save"),
    Target("vllm.compilation.caching", "StandaloneCompiledArtifacts.load_all", "load_artifacts"),
    Target("vllm.compilation.piecewise_backend", "PiecewiseBackend.load_all_ranges", "load_ranges"),
    # The engine and its front end
    Target(_CLIENT, "MPClient.__init__", "engine_start", ("vllm_config",)),
    Target(_CLIENT, "InprocClient.__init__", "engine_start_in_process"),
    Target("vllm.v1.executor.abstract", "Executor.__init__", "executor_init"),
    Target(_CORE, "EngineCore._initialize_kv_caches", "engine_init", ("vllm_config",)),
    Target(_CORE, "EngineCoreProc.run_busy_loop", "busy_loop"),
    Target(_CORE, "DPEngineCoreProc.run_busy_loop", "busy_loop"),
    # Workers and model runners
    Target(_WORKER, "Worker.init_device", "device_init"),
    Target(_WORKER, "Worker.determine_available_memory", "memory_profile"),
    Target(_WORKER, "Worker.initialize_from_config", "kv_cache_init"),
    Target(_WORKER, "Worker.compile_or_warm_up_model", "worker_warmup"),
    Target(_WORKER, "kernel_warmup", "kernel_warmup"),
    Target("vllm.v1.worker.xpu_worker", "XPUWorker.init_device", "device_init"),
    Target(_CPU_WORKER, "CPUWorker.init_device", "device_init"),
    Target(_CPU_WORKER, "CPUWorker.determine_available_memory", "memory_profile"),
    Target(_CPU_WORKER, "CPUWorker.compile_or_warm_up_model", "worker_warmup"),
    *(
        Target(runner, f"GPUModelRunner.{name}", watch)
        for runner in (_RUNNER, _RUNNER_V2)
        for name, watch in (
            ("load_model", "model_load"),
            ("profile_run", "profile_run"),
            ("profile_cudagraph_memory", "graph_capture_probe"),
            ("capture_model", "graph_capture"),
        )
    ),
    Target(_ENCODER_RUNNER, "MMEncoderModelRunner.capture_model", "graph_capture"),
    Target(_CPU_RUNNER, "CPUModelRunner.load_model", "model_load"),
    Target(_CPU_RUNNER, "CPUModelRunner.warming_up_model", "warmup"),
    Target(_CPU_RUNNER_V2, "CPUModelRunner.warming_up_model", "warmup"),
    # Weights
    Target(_LOADER, "BaseModelLoader.load_model", "load_model"),
    # What "Initializing model took" times; before, there is only the call inside it, and no such line.
    Target(_LOADER, "BaseModelLoader.create_model", "model_init", since="0.30.0"),
    Target(_LOADER, "initialize_model", "model_init"),
)
