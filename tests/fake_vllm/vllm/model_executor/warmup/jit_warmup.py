"""As in vLLM, from 0.29 on."""

from fake_work import work


class JitWarmupRegistry:
    """What a runner's kernels have asked for."""

    def warmup(self) -> None:
        work("jit_warmup")
