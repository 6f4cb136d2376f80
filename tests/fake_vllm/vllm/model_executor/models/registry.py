"""As in vLLM: a model's class is looked up in a process that does nothing else."""

import subprocess
import sys


def inspect_model_cls() -> None:
    subprocess.run([sys.executable, "-m", "vllm.model_executor.models.registry"], check=True)


if __name__ == "__main__":
    from vllm.plugins import load_general_plugins

    load_general_plugins()
