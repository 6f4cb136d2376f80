"""As in vLLM."""

from vllm.config import CompilationMode
from vllm.logger import init_logger
from vllm.v1.worker.gpu_model_runner import GPUModelRunner

logger = init_logger(__name__)


class CPUModelRunner(GPUModelRunner):
    """The model runner without a GPU."""

    def load_model(self, load_dummy_weights: bool = False) -> None:
        super().load_model(load_dummy_weights)

    def warming_up_model(self) -> None:
        if self.vllm_config.compilation_config.mode == CompilationMode.NONE:
            return
        logger.info("Warming up model for the compilation...")
        self.profile_run()
        logger.info("Warming up done.")
