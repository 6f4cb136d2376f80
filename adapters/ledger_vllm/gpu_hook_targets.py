"""The functions of vLLM that only a GPU's start spends time in, as rows of the adapter's table.

What warms kernels up runs them, so that they are compiled or tuned before the first request: mostly by
Triton, whose own intervals are inside.
"""

from typing import Final

from ledger_engine.hook_targets import HookTarget

WORKER: Final = "vllm.v1.worker.gpu_worker"
RUNNER: Final = "vllm.v1.worker.gpu_model_runner"
RUNNER_V2: Final = "vllm.v1.worker.gpu.model_runner"
_WARMUP: Final = "vllm.model_executor.warmup.kernel_warmup"
"""Which imports the warm-ups that it calls, each under its own name."""
_COMMUNICATORS: Final = "vllm.distributed.device_communicators"

GPU_TARGETS: Final = (
    # Communication: process groups, and what each of them sets up on the GPUs
    HookTarget(WORKER, "init_worker_distributed_environment", stage="distributed_init"),
    HookTarget(WORKER, "init_distributed_environment", stage="process_group_init"),
    HookTarget(WORKER, "ensure_model_parallel_initialized", stage="model_parallel_init"),
    HookTarget(f"{_COMMUNICATORS}.pynccl", "PyNcclCommunicator.__init__", stage="nccl_init"),
    HookTarget(
        f"{_COMMUNICATORS}.custom_all_reduce", "CustomAllreduce.__init__", stage="custom_all_reduce_init"
    ),
    HookTarget(f"{_COMMUNICATORS}.custom_all_reduce", "_can_p2p", stage="p2p_check"),
    HookTarget(
        f"{_COMMUNICATORS}.quick_all_reduce", "QuickAllReduce.__init__", stage="quick_all_reduce_init"
    ),
    HookTarget(f"{_COMMUNICATORS}.symm_mem", "SymmMemCommunicator.__init__", stage="symm_mem_init"),
    # Model runners
    HookTarget(RUNNER, "GPUModelRunner.__init__", hook="runner_init"),
    HookTarget(RUNNER_V2, "GPUModelRunner.__init__", hook="runner_init"),
    # Steps of the engine, as the first requests will be
    HookTarget(WORKER, "warmup_kernels", stage="step_warmup"),
    HookTarget(RUNNER, "GPUModelRunner._dummy_sampler_run", stage="sampler_warmup"),
    HookTarget(RUNNER, "GPUModelRunner._dummy_pooler_run", stage="pooler_warmup"),
    HookTarget(RUNNER_V2, "GPUModelRunner._dummy_sampler_run", stage="sampler_warmup"),
    HookTarget(RUNNER_V2, "GPUModelRunner._dummy_pooler_run", stage="pooler_warmup"),
    # Kernels, by what they are made with
    HookTarget(_WARMUP, "flashinfer_autotune", stage="flashinfer_autotune"),
    HookTarget(_WARMUP, "deep_gemm_warmup", stage="deep_gemm_warmup"),
    HookTarget(
        _WARMUP,
        "flashinfer_sparse_mla_decode_autotune_warmup",
        stage="attention_warmup",
        since="0.24.0",
    ),
    HookTarget(_WARMUP, "deepseek_v4_sparse_mla_attention_warmup", stage="attention_warmup", since="0.24.0"),
    HookTarget(_WARMUP, "mixed_batch_attention_warmup", stage="attention_warmup", since="0.32.0"),
    HookTarget(_WARMUP, "cutedsl_warmup", stage="cutedsl_warmup", since="0.25.0"),
    HookTarget(_WARMUP, "qwen_triton_warmup", stage="triton_warmup", since="0.25.0"),
    HookTarget(_WARMUP, "kimi_k3_triton_warmup", stage="triton_warmup", since="0.27.0"),
    HookTarget(_WARMUP, "qwen_vl_triton_warmup", stage="triton_warmup", since="0.30.0"),
    HookTarget(_WARMUP, "mamba_triton_warmup", stage="triton_warmup", since="0.30.0"),
    HookTarget(_WARMUP, "b12x_warmup", stage="b12x_warmup", since="0.28.0"),
    HookTarget(
        "vllm.model_executor.warmup.jit_warmup",
        "JitWarmupRegistry.warmup",
        stage="jit_warmup",
        since="0.29.0",
    ),
    HookTarget(
        "vllm.compilation.compiler_interface",
        "trigger_inductor_lazy_init",
        stage="inductor_init",
        since="0.25.0",
    ),
)

GPU_STAGES: Final[dict[str, str]] = {
    "attention_warmup": "warmup",
    "b12x_warmup": "warmup",
    "custom_all_reduce_init": "startup",
    "cutedsl_warmup": "warmup",
    "deep_gemm_warmup": "warmup",
    "distributed_init": "startup",
    "flashinfer_autotune": "warmup",
    "inductor_init": "warmup",
    "jit_warmup": "warmup",
    "model_parallel_init": "startup",
    "nccl_init": "startup",
    "p2p_check": "startup",
    "pooler_warmup": "warmup",
    "process_group_init": "startup",
    "quick_all_reduce_init": "startup",
    "runner_init": "startup",
    "sampler_warmup": "warmup",
    "step_warmup": "warmup",
    "symm_mem_init": "startup",
    "triton_warmup": "warmup",
}
