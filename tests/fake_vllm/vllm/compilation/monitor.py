"""As in vLLM: what a monitor logs and adds up, in three versions."""

import contextlib
import time
from collections.abc import Generator

from vllm import is_at_least
from vllm.compilation.counter import compilation_counter
from vllm.config import CompilationMode, VllmConfig
from vllm.logger import init_logger

logger = init_logger(__name__)

torch_compile_start_time: float = 0.0
"""Of the monitor that began last: the backend reads it, and a monitor inside another one sets it anew."""


@contextlib.contextmanager
def monitor_torch_compile(
    vllm_config: VllmConfig,
    message: str = "%storch.compile took %.2f s in total",
    is_encoder: bool = False,
    tag: str = "",
    announce_start: bool = True,
) -> Generator[None, None, None]:
    """As from 0.32 on."""
    global torch_compile_start_time
    torch_compile_start_time = time.perf_counter()
    config = vllm_config.compilation_config
    log_prefix = f"[{tag}] " if tag else ""
    if announce_start and config.mode == CompilationMode.VLLM_COMPILE:
        logger.info("%sStarting torch.compile", log_prefix)
    try:
        yield
    except Exception:
        raise
    else:
        total_compile_time = time.perf_counter() - torch_compile_start_time
        if config.mode == CompilationMode.VLLM_COMPILE:
            if is_encoder:
                config.encoder_compilation_time += total_compile_time
            else:
                config.compilation_time += total_compile_time
            logger.info(message, log_prefix, total_compile_time)


@contextlib.contextmanager
def _of_0_20(
    vllm_config: VllmConfig, message: str = "torch.compile took %.2f s in total", is_encoder: bool = False
) -> Generator[None, None, None]:
    global torch_compile_start_time
    torch_compile_start_time = time.perf_counter()
    config = vllm_config.compilation_config
    yield
    total_compile_time = time.perf_counter() - torch_compile_start_time
    if config.mode == CompilationMode.VLLM_COMPILE:
        if is_encoder:
            config.encoder_compilation_time += total_compile_time
        else:
            config.compilation_time += total_compile_time
        logger.info_once(message, total_compile_time)


@contextlib.contextmanager
def _of_0_19(
    vllm_config: VllmConfig, message: str = "torch.compile took %.2f s in total"
) -> Generator[None, None, None]:
    global torch_compile_start_time
    torch_compile_start_time = time.perf_counter()
    yield
    total_compile_time = time.perf_counter() - torch_compile_start_time
    if vllm_config.compilation_config.mode == CompilationMode.VLLM_COMPILE:
        logger.info_once(message, total_compile_time, scope="local")


@contextlib.contextmanager
def monitor_profiling_run(tag: str = "") -> Generator[None, None, None]:
    """As from 0.32 on."""
    before = compilation_counter.num_backend_compilations
    start = time.perf_counter()
    yield
    elapsed = time.perf_counter() - start
    assert compilation_counter.num_backend_compilations == before
    logger.info_of(f"[{tag}] " if tag else "", "Initial profiling/warmup run took %.2f s", elapsed)


@contextlib.contextmanager
def _profiling_run_without_tag() -> Generator[None, None, None]:
    start = time.perf_counter()
    yield
    logger.info_once("Initial profiling/warmup run took %.2f s", time.perf_counter() - start)


if not is_at_least("0.32.0"):
    monitor_torch_compile = _of_0_20 if is_at_least("0.20.0") else _of_0_19
    monitor_profiling_run = _profiling_run_without_tag
