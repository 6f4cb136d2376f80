"""As in vLLM."""

import time
from typing import Any

from fake_work import work

from vllm import is_at_least
from vllm.logger import init_logger

logger = init_logger(__name__)


def kernel_warmup(worker: Any) -> None:
    start = time.perf_counter()
    deep_gemm_warmup(worker, 1024)
    work("kernel_warmup")
    flashinfer_autotune(worker.model_runner)
    if is_at_least("0.32.0"):
        logger.info("JIT kernel warmup finished in %.2fs.", time.perf_counter() - start)


def deep_gemm_warmup(model: Any, max_tokens: int) -> None:
    work("deep_gemm_warmup")


def flashinfer_autotune(runner: Any) -> None:
    work("flashinfer_autotune")


def flashinfer_sparse_mla_decode_autotune_warmup(worker: Any) -> None:
    work("flashinfer_sparse_mla_decode_autotune_warmup")


def deepseek_v4_sparse_mla_attention_warmup(worker: Any) -> None:
    work("deepseek_v4_sparse_mla_attention_warmup")


def mixed_batch_attention_warmup(worker: Any, num_tokens: int) -> None:
    work("mixed_batch_attention_warmup")


def cutedsl_warmup() -> None:
    work("cutedsl_warmup")


def qwen_triton_warmup(runner: Any, model_config: Any) -> None:
    work("qwen_triton_warmup")


def kimi_k3_triton_warmup(worker: Any) -> None:
    work("kimi_k3_triton_warmup")


def qwen_vl_triton_warmup(runner: Any) -> None:
    work("qwen_vl_triton_warmup")


def mamba_triton_warmup(runner: Any) -> None:
    work("mamba_triton_warmup")


def b12x_warmup(worker: Any, cudagraph_capture_sizes: Any) -> None:
    work("b12x_warmup")
