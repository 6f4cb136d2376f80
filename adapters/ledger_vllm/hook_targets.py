"""The functions of vLLM that are hooked, as a table that tests compare with the sources of each version.

A row with a `stage` is all that a stage needs; what is more than one stage has a `hook`, by the name of a
method.

Names by which `vllm.compilation.decorators` calls its monitor are replaced there, where it imported them: it
looks them up at each call.
"""

from typing import Final

from ledger_engine.hook_targets import HookTable, HookTarget
from ledger_vllm.gpu_hook_targets import GPU_STAGES, GPU_TARGETS, RUNNER, RUNNER_V2, WORKER

OLDEST: Final = "0.19.1"
NEWEST: Final = "0.33.0"
"""The supported versions. The tests keep excerpts from these and all in between."""

_DECORATORS: Final = "vllm.compilation.decorators"
_BACKENDS: Final = "vllm.compilation.backends"
_WRAPPER: Final = "vllm.compilation.wrapper"
_LOADER: Final = "vllm.model_executor.model_loader.base_loader"
_CORE: Final = "vllm.v1.engine.core"
_CLIENT: Final = "vllm.v1.engine.core_client"
_ENGINE_UTILS: Final = "vllm.v1.engine.utils"
_COORDINATOR: Final = "vllm.v1.engine.coordinator"
_MULTIPROC: Final = "vllm.v1.executor.multiproc_executor"
_ARGUMENTS: Final = "vllm.engine.arg_utils"
_RENDERER: Final = "vllm.renderers.base"
_API_SERVER: Final = "vllm.entrypoints.openai.api_server"
_API_ENTRY: Final = "vllm.entrypoints.launchers.api_server.entry"
"""What the API server's module is called from 0.29 on."""
_CPU_WORKER: Final = "vllm.v1.worker.cpu_worker"
_ENCODER_RUNNER: Final = "vllm.v1.worker.mm_encoder_model_runner"
_CPU_RUNNER: Final = "vllm.v1.worker.cpu_model_runner"
_CPU_RUNNER_V2: Final = "vllm.v1.worker.cpu.model_runner"

_TARGETS: Final = (
    # Its log lines
    HookTarget("vllm.logger", "_configure_vllm_root_logger", hook="logging_configured"),
    # The front end: its command line, its configuration, and when it can be asked
    HookTarget("vllm.entrypoints.cli.main", "main", hook="command_line"),
    HookTarget("vllm.utils.argparse_utils", "FlexibleArgumentParser.parse_args", hook="arguments_read"),
    HookTarget("vllm.plugins", "load_general_plugins", hook="load_plugins"),
    HookTarget(_ARGUMENTS, "EngineArgs.create_engine_config", stage="configuration"),
    HookTarget(_ARGUMENTS, "EngineArgs.create_model_config", stage="model_config"),
    HookTarget("vllm.tokenizers.registry", "cached_get_tokenizer", stage="tokenizer_load"),
    HookTarget("vllm.transformers_utils.processor", "cached_get_processor", stage="tokenizer_load"),
    HookTarget(_RENDERER, "BaseRenderer.__init__", stage="renderer_init"),
    HookTarget(_RENDERER, "BaseRenderer.warmup", stage="renderer_warmup"),
    HookTarget("vllm.entrypoints.llm", "LLM.__init__", hook="llm"),
    HookTarget(_API_SERVER, "run_server", hook="api_server", until="0.29.0"),
    HookTarget(_API_SERVER, "run_server_worker", hook="api_server", until="0.29.0"),
    HookTarget(_API_SERVER, "build_and_serve", hook="server_start", until="0.29.0"),
    HookTarget(_API_ENTRY, "run_server", hook="api_server", since="0.29.0"),
    HookTarget(_API_ENTRY, "run_server_worker", hook="api_server", since="0.29.0"),
    HookTarget(_API_ENTRY, "build_and_serve", hook="server_start", since="0.29.0"),
    HookTarget("uvicorn.server", "Server.startup", hook="server_ready"),
    # Processes that are started, and waited for
    HookTarget("vllm.model_executor.models.registry", "_run_in_subprocess", hook="wait_for_lookup"),
    HookTarget(_ENGINE_UTILS, "CoreEngineProcManager.__init__", hook="spawn"),
    HookTarget(_ENGINE_UTILS, "wait_for_engine_startup", hook="wait_for_engines"),
    HookTarget("vllm.v1.utils", "APIServerProcessManager.__init__", hook="spawn"),
    HookTarget(_COORDINATOR, "DPCoordinator.__init__", hook="spawn"),
    HookTarget(_COORDINATOR, "DPCoordinator._wait_for_zmq_addrs", hook="wait_for_coordinator"),
    HookTarget(_MULTIPROC, "WorkerProc.make_worker_process", hook="spawn_worker"),
    HookTarget(_MULTIPROC, "WorkerProc.wait_for_ready", hook="wait_for_workers"),
    HookTarget(_MULTIPROC, "MultiprocExecutor.collective_rpc", hook="wait_for_replies", is_startup=True),
    # The compile of each part of a model
    HookTarget(
        _DECORATORS, "monitor_torch_compile", hook="torch_compile", reads=("vllm_config",), is_context=True
    ),
    HookTarget(_DECORATORS, "monitor_profiling_run", hook="first_run", is_context=True),
    HookTarget(_DECORATORS, "_try_load_aot_compiled_fn", hook="try_load", reads=("aot_compilation_path",)),
    HookTarget(
        _WRAPPER, "TorchCompileWithNoGuardsWrapper.__init__", hook="model_made", reads=("compile_prefix",)
    ),
    HookTarget(_WRAPPER, "TorchCompileWithNoGuardsWrapper.aot_compile", hook="aot_compile"),
    HookTarget("torch._dynamo.aot_compile", "AOTCompiledFunction.save_compiled_function", hook="aot_save"),
    # The backend
    HookTarget(_BACKENDS, "VllmBackend.__call__", hook="backend_compile"),
    HookTarget(_BACKENDS, "VllmBackend.configure_post_pass", hook="configure_post_pass"),
    HookTarget(_BACKENDS, "split_graph", hook="graph_split"),
    HookTarget(
        _BACKENDS,
        "CompilerManager.compile",
        hook="graph_compile",
        reads=("compile_range", "graph_index", "num_graphs"),
    ),
    HookTarget(_BACKENDS, "CompilerManager.save_to_file", hook="cache_save"),
    HookTarget("vllm.compilation.caching", "StandaloneCompiledArtifacts.load_all", hook="load_artifacts"),
    HookTarget("vllm.compilation.piecewise_backend", "PiecewiseBackend.load_all_ranges", hook="load_ranges"),
    # The engine and its client
    HookTarget(_CLIENT, "MPClient.__init__", hook="engine_start", reads=("vllm_config",)),
    HookTarget(_CLIENT, "InprocClient.__init__", hook="engine_start_in_process"),
    HookTarget(_CORE, "EngineCoreProc.__init__", stage="engine_core_init"),
    HookTarget("vllm.v1.executor.abstract", "Executor.__init__", stage="executor_init"),
    HookTarget(_CORE, "freeze_gc_heap", stage="gc_freeze"),
    HookTarget(_CORE, "EngineCore._initialize_kv_caches", hook="engine_init", reads=("vllm_config",)),
    HookTarget(_CORE, "EngineCoreProc.run_busy_loop", hook="busy_loop"),
    HookTarget(_CORE, "DPEngineCoreProc.run_busy_loop", hook="busy_loop"),
    HookTarget("vllm.v1.core.sched.scheduler", "Scheduler.update_from_output", hook="first_token"),
    # Workers and model runners
    HookTarget(_MULTIPROC, "WorkerProc.__init__", hook="worker_init", reads=("vllm_config", "rank")),
    HookTarget(WORKER, "Worker.init_device", hook="device_init"),
    HookTarget(WORKER, "Worker.determine_available_memory", stage="memory_profile"),
    HookTarget(WORKER, "Worker.initialize_from_config", stage="kv_cache_init"),
    HookTarget(WORKER, "Worker.compile_or_warm_up_model", hook="worker_warmup"),
    HookTarget(WORKER, "kernel_warmup", stage="kernel_warmup"),
    HookTarget("vllm.v1.worker.xpu_worker", "XPUWorker.init_device", hook="device_init"),
    HookTarget(_CPU_WORKER, "CPUWorker.init_device", hook="device_init"),
    HookTarget(_CPU_WORKER, "CPUWorker.determine_available_memory", stage="memory_profile"),
    HookTarget(_CPU_WORKER, "CPUWorker.compile_or_warm_up_model", hook="worker_warmup"),
    HookTarget(RUNNER, "GPUModelRunner.load_model", stage="model_load"),
    HookTarget(RUNNER, "GPUModelRunner.profile_run", stage="profile_run"),
    HookTarget(RUNNER, "GPUModelRunner.profile_cudagraph_memory", stage="graph_capture_probe"),
    HookTarget(RUNNER, "GPUModelRunner.capture_model", hook="graph_capture"),
    HookTarget(RUNNER_V2, "GPUModelRunner.load_model", stage="model_load"),
    HookTarget(RUNNER_V2, "GPUModelRunner.profile_run", stage="profile_run"),
    HookTarget(RUNNER_V2, "GPUModelRunner.profile_cudagraph_memory", hook="capture_probe"),
    HookTarget(RUNNER_V2, "GPUModelRunner.capture_model", hook="graph_capture"),
    HookTarget(_ENCODER_RUNNER, "MMEncoderModelRunner.capture_model", hook="graph_capture"),
    HookTarget(_CPU_RUNNER, "CPUModelRunner.load_model", stage="model_load"),
    HookTarget(_CPU_RUNNER, "CPUModelRunner.warming_up_model", stage="warmup"),
    HookTarget(_CPU_RUNNER_V2, "CPUModelRunner.warming_up_model", stage="warmup"),
    # Weights
    HookTarget(_LOADER, "BaseModelLoader.load_model", hook="load_model"),
    # What "Initializing model took" times; before, there is only the call inside it, and no such line.
    HookTarget(_LOADER, "BaseModelLoader.create_model", stage="model_init", since="0.30.0"),
    HookTarget(_LOADER, "initialize_model", stage="model_init"),
    # What proposes tokens for the model: its other methods are hooked when it is made (`drafters`)
    HookTarget(_BACKENDS, "set_model_tag", hook="drafter_tagged", reads=("tag",), is_context=True),
    # What a GPU's start does besides
    *GPU_TARGETS,
)

_STAGES: Final[dict[str, str]] = {
    "aot_read": "compile",
    "cache_key": "compile",
    "device_init": "startup",
    "engine_core_init": "startup",
    "engine_start": "startup",
    "executor_init": "startup",
    "front_end_start": "startup",
    "gc_freeze": "startup",
    "memory_profile": "startup",
    "model_config": "startup",
    "plugins_load": "startup",
    "process_spawn": "startup",
    "renderer_init": "startup",
    "renderer_warmup": "warmup",
    "worker_init": "startup",
    **GPU_STAGES,
}

TABLE: Final = HookTable("vLLM", "vllm", OLDEST, NEWEST, _TARGETS, _STAGES)
