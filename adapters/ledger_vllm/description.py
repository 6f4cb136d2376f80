"""The description of vLLM for the core."""

from typing import Final

from ledger.adapters import CacheVariable, EngineDescription

VLLM: Final = EngineDescription(
    package="vllm",
    environment=(
        "VLLM_CACHE_ROOT",
        "VLLM_DISABLE_COMPILE_CACHE",
        "VLLM_ENABLE_V1_MULTIPROCESSING",
        "VLLM_PLUGINS",
        "VLLM_USE_AOT_COMPILE",
        "VLLM_WORKER_MULTIPROC_METHOD",
    ),
    caches=(CacheVariable("VLLM_CACHE_ROOT"),),
)
